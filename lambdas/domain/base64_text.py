"""Base64 as it is found in the wild: either alphabet, with line breaks, with or without its padding."""

from __future__ import annotations

import base64

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")


def decode(text: object) -> bytes:
    """The bytes that the text stands for. Raises ValueError for what is no base64 by any reading, or no text."""
    if not isinstance(text, str):
        raise ValueError("no text")
    packed = b"".join(text.encode("ascii").split()).translate(_TO_STANDARD).rstrip(b"=")
    return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)

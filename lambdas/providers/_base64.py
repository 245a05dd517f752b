"""Pictures that services send as base64: paid for already, so every spelling is read that can be."""

from __future__ import annotations

import base64
from typing import Any, Final

_URL_SAFE: Final = str.maketrans("-_", "+/")


def decoded(text: Any) -> bytes:
    """The bytes: of either alphabet, with or without white space and padding. Raises ValueError, TypeError."""
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        bare = "".join(text.split()).translate(_URL_SAFE).rstrip("=")
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)

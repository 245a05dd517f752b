"""Decodes base64 leniently: of either alphabet, with line breaks, with or without padding."""

from __future__ import annotations

import base64
import re
from typing import Final

_LETTERS: Final = re.compile(r"[A-Za-z0-9+/_-]*")
_TO_STANDARD: Final = str.maketrans("-_", "+/")


def decode(text: object) -> bytes:
    """Return the decoded bytes. Raises ValueError, with the reason, for anything else."""
    if not isinstance(text, str):
        raise ValueError("it is no text")
    packed = "".join(text.split())
    letters = packed.rstrip("=")
    known = _LETTERS.match(letters)
    end = known.end() if known else 0
    if end < len(letters):
        raise ValueError(f"the letter number {end + 1} is none of it")
    if len(letters) % 4 == 1 or len(packed) - len(letters) > 2:
        raise ValueError("it is cut off")
    return base64.b64decode(letters.translate(_TO_STANDARD) + "=" * (-len(letters) % 4))

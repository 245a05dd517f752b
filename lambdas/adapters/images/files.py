"""Parses the outer structure of PNG, JPEG and WebP files, and checks whether a file has nothing but its picture.

No decoder runs here. A plain file has no text, EXIF, colour profile, animation, unknown part, wrong checksum, or byte
after its end. Any other file is encoded again, or rebuilt from its parts, instead of being passed on.
"""

from __future__ import annotations

from lambdas.adapters.images import jpeg, png, webp
from lambdas.adapters.images.kinds import PNG_START, kind_of
from lambdas.adapters.images.outline import Broken, Outline

_WALKERS = {"png": png.outline, "jpeg": jpeg.outline, "webp": webp.outline}


def outlined(data: bytes) -> Outline | None:
    """Return the outline of a file that starts as one of the three kinds; `None` for others. Raises Broken."""
    kind = kind_of(data)
    if kind is None:
        return None
    if kind == "png" and not png_ends(data):
        raise Broken("the image is cut off")
    return _WALKERS[kind](data)


def png_ends(data: bytes) -> bool:
    """Return whether the file's last chunk is there, which Pillow does not check."""
    at = len(PNG_START)
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        if kind == b"IEND":
            return at <= len(data)
    return False

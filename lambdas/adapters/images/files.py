"""Reads the outer structure of PNG, JPEG and WebP files: what is in one, and is it its picture and nothing else?

No decoder runs here. A plain file has no text, EXIF, colour profile, animation, unknown part, wrong checksum, or byte
after its end. Any other is encoded anew, or taken apart and put together again, instead of being passed on.
"""

from __future__ import annotations

from lambdas.adapters.images import jpeg, png, webp
from lambdas.adapters.images.kinds import PNG_START, kind_of
from lambdas.adapters.images.outline import Broken, Outline

_WALKERS = {"png": png.outline, "jpeg": jpeg.outline, "webp": webp.outline}


def outlined(data: bytes) -> Outline | None:
    """The outline of a file that begins as one of the three; `None` for all else. Raises Broken."""
    kind = kind_of(data)
    if kind is None:
        return None
    if kind == "png" and not png_ends(data):
        raise Broken("the image is cut off")
    return _WALKERS[kind](data)


def is_plain(data: bytes, kind: str) -> bool:
    """`kind` is png, jpeg or webp. True for a file of that kind that may be passed on as it is."""
    try:
        found = outlined(data)
    except Broken:
        return False
    return found is not None and found.kind == kind and found.plain


def png_ends(data: bytes) -> bool:
    """Is the file's last chunk there? Pillow does not miss it."""
    at = len(PNG_START)
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        if kind == b"IEND":
            return at <= len(data)
    return False

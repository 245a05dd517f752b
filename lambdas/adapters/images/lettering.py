"""Writes a watermark's text onto a picture, in the font that is part of the package.

The text runs from left to right and no character changes another's shape: Lambda lacks the library that orders and
joins the letters of other scripts, so such characters are refused, as are those that the font does not have.
"""

from __future__ import annotations

import struct
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lambdas.domain.delivery import too_long

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

FONT: Final = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
CAPITALS: Final = 0.729  # height of the font's capital letters, of its size
MIN_SIZE: Final = 9  # pixels; a smaller text cannot be read

_HEIGHT, _MARGIN = 0.035, 0.03  # of a capital, and around the text: parts of the picture's shorter side
_WHITE, _OUTLINE = 0.75, 0.45  # opacity
_NO_LETTER: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me", "Mc"})
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})


def unwritable(text: str) -> str:
    """Return the first character that cannot be written; empty if there is none. Pillow is not imported."""
    return next((character for character in text if not _is_writable(character)), "")


def write(picture: Image, text: str) -> Image:
    """Return the picture with the text at its lower right, white with a dark outline, which any ground shows.

    The picture may be changed. Raises InvalidRequest if the text would be too small to read.
    """
    from PIL import Image, ImageDraw

    if picture.mode == "LA":
        picture = picture.convert("RGBA")
    margin = max(2, round(min(picture.size) * _MARGIN))
    room = picture.width - 2 * margin, picture.height - 2 * margin
    size = max(16, round(min(picture.size) * _HEIGHT / CAPITALS))
    font, stroke = _font(size), _stroke(size)
    while (extent := _extent(font, text, stroke))[0] > room[0] or extent[1] > room[1]:
        size = min(size - 1, int(size * min(room[0] / extent[0], room[1] / extent[1])))
        if size < MIN_SIZE:
            raise too_long(picture.size)
        font, stroke = _font(size), _stroke(size)
    left, top, *_ = font.getbbox(text, stroke_width=stroke)
    corner = picture.width - margin - extent[0], picture.height - margin - extent[1]
    for colour, opacity, width in (("black", _OUTLINE, stroke), ("white", _WHITE, 0)):
        mask = Image.new("L", extent)
        ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=font, stroke_width=width)
        mask = mask.point([round(level * opacity) for level in range(256)])
        if picture.mode == "RGBA":
            layer = Image.new("RGBA", extent, colour)
            layer.putalpha(mask)
            picture.alpha_composite(layer, corner)
        else:
            picture.paste(Image.new(picture.mode, extent, colour), corner, mask)
    return picture


def _extent(font: FreeTypeFont, text: str, stroke: int) -> tuple[int, int]:
    left, top, right, bottom = font.getbbox(text, stroke_width=stroke)
    return int(right - left) + 1, int(bottom - top) + 1


def _stroke(size: int) -> int:
    return max(1, size // 14)


def _font(size: int) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(FONT, size, layout_engine=ImageFont.Layout.BASIC)


def _is_writable(character: str) -> bool:
    if unicodedata.category(character) in _NO_LETTER or unicodedata.bidirectional(character) in _RIGHT_TO_LEFT:
        return False
    return any(first <= ord(character) <= last for first, last in _characters())


@cache
def _characters() -> tuple[tuple[int, int], ...]:
    """Return the ranges of characters that the font has, from format 12 of its table `cmap`."""
    with FONT.open("rb") as file:
        (count,) = struct.unpack(">4xH6x", file.read(12))
        places = {tag: place for tag, *place in (struct.unpack(">4s4xII", file.read(16)) for _ in range(count))}
        start, length = places[b"cmap"]
        file.seek(start)
        table = file.read(length)
    for at in range(4, 4 + 8 * struct.unpack_from(">2xH", table)[0], 8):
        (offset,) = struct.unpack_from(">4xI", table, at)
        if struct.unpack_from(">H", table, offset) == (12,):
            (groups,) = struct.unpack_from(">12xI", table, offset)
            found = (struct.unpack_from(">III", table, offset + 16 + 12 * number) for number in range(groups))
            return tuple((first, last) for first, last, _ in found)
    raise ValueError(f"{FONT.name} has no table of its characters in format 12")

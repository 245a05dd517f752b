"""Fits pictures into the limits of editing services on proportion and pixels, and reverts that."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from lambdas.domain.catalogue.model_card import Size

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_RATIO: Final = 2.4  # Stability accepts 1:2.5 to 2.5:1; the rest is a margin for rounding
MIN_SIDE: Final = 64


def shown(picture: Image, max_pixels: int, around: Any) -> Image:
    """Return the picture extended by the colour `around` to an accepted proportion, then scaled to `max_pixels`."""
    from PIL import Image

    wide, corner = extended(picture.size)
    if wide != picture.size:
        room = Image.new(picture.mode, wide, around)
        room.paste(picture, corner)
        picture = room
    scale = min(1.0, math.sqrt(max_pixels / (wide[0] * wide[1])))
    scale = max(scale, MIN_SIDE / min(wide))
    size = math.ceil(wide[0] * scale), math.ceil(wide[1] * scale)
    return picture if size == wide else picture.resize(size, Image.Resampling.LANCZOS)


def unshown(answer: Image, size: Size) -> Image:
    """Return a service's answer, of any size, at the `size` of the picture before `shown`."""
    from PIL import Image

    wide, corner = extended(size)
    if answer.size != wide:
        answer = answer.resize(wide, Image.Resampling.LANCZOS)
    if wide == size:
        return answer.copy()
    return answer.crop((*corner, corner[0] + size[0], corner[1] + size[1]))


def extended(size: Size) -> tuple[Size, tuple[int, int]]:
    """Return the smallest accepted size around `size`, and the position of the original's corner in it."""
    width, height = size
    wide = max(width, math.ceil(height / MAX_RATIO)), max(height, math.ceil(width / MAX_RATIO))
    return wide, ((wide[0] - width) // 2, (wide[1] - height) // 2)

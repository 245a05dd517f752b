"""Defines product backgrounds: the placement of a product on a canvas, and the results of the steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lambdas.domain.catalogue.model_card import Size

MIN_CANVAS: Final = 16
MAX_CANVAS: Final = 4096
MAX_PADDING: Final = 2048
LOW: Final = 0.5  # a lower confidence gives a warning
JPEG: Final = "a JPEG cannot keep the product's pixels exactly; png and webp do"

Box = tuple[int, int, int, int]  # left, top, right, bottom; the last two are the first pixels outside


@dataclass(frozen=True, slots=True)
class Canvas:
    """The requested canvas: both sides or neither, in pixels, and the padding around the product.

    Without size and padding the photo's framing is kept. With padding alone the canvas is the product and that many
    pixels on each side. With a size the product is centred, with at least the padding around it.
    """

    width: int | None = None
    height: int | None = None
    padding: int | None = None

    @property
    def keeps_framing(self) -> bool:
        return self.width is None and self.padding is None

    def place(self, photo: Size, product: Box) -> tuple[Size, tuple[int, int]]:
        """Return the canvas's size and the photo's position on it. The product is never scaled. Raises Unplaceable."""
        left, top, right, bottom = product
        margin = self.padding or 0
        need = right - left + 2 * margin, bottom - top + 2 * margin
        if self.width and self.height:
            if need[0] > self.width or need[1] > self.height:
                message = f"the product is never scaled and needs {need[0]}x{need[1]} pixels with its padding"
                raise Unplaceable(message)
            size = self.width, self.height
            at = (size[0] - (right - left)) // 2 - left, (size[1] - (bottom - top)) // 2 - top
        elif self.padding is not None:
            size, at = need, (margin - left, margin - top)
        else:
            size, at = photo, (0, 0)
        if max(size) > MAX_CANVAS or min(size) < MIN_CANVAS:
            said = f"the canvas of {size[0]}x{size[1]} is not within {MIN_CANVAS} to {MAX_CANVAS} pixels a side"
            if self.keeps_framing:
                said = f"{said}: that is the photo's own size; send padding, or width and height"
            raise Unplaceable(said)
        return size, at


class Unplaceable(Exception):
    """The product does not fit its canvas, or the photo shows none. The message is for the client."""


@dataclass(frozen=True, slots=True)
class Staged:
    """The input of a model that paints around a product: PNGs of one size; the mask is white where it paints."""

    size: Size
    image: bytes = field(repr=False)
    mask: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Composed:
    """The finished image in its format and the mask as PNG, both of `size`."""

    size: Size
    image: bytes = field(repr=False)
    mask: bytes = field(repr=False)
    confidence: float
    components: Mapping[str, float | None]
    warnings: tuple[str, ...] = ()

"""Places a product on its canvas by whole pixels, never scaled, and computes the size of the generated scene."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from gpu_worker.background.cutout import Cutout
from gpu_worker.contract import MAX_CANVAS, MIN_CANVAS, Refusal

STEP: Final = 8
MIN_SCENE: Final = 64
PROTECTED: Final = 6  # pixels around the product, at the scene's size, that the model must not repaint


@dataclass(frozen=True, slots=True)
class Placed:
    """A product on its canvas; `rgb` is black and `alpha` 0 around it. `at` is (x, y) of the photo's top-left."""

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    at: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.alpha.shape[1], self.alpha.shape[0]


def place(cut: Cutout, width: int = 0, height: int = 0, padding: int | None = None) -> Placed:
    """Place the product on a canvas; sizes in pixels. Raises Refusal if it does not fit.

    Without a size and a padding the photo's framing is kept. With a padding alone the canvas is the product plus that
    many pixels on each side. With a size the product is centred, with at least the padding around it.
    """
    left, top, right, bottom = cut.box
    margin = padding or 0
    if width and height:
        if right - left + 2 * margin > width or bottom - top + 2 * margin > height:
            need = f"{right - left + 2 * margin}x{bottom - top + 2 * margin}"
            raise Refusal("invalid_request", f"the product is never scaled and needs {need} pixels with its padding")
        at = ((width - (right - left)) // 2 - left, (height - (bottom - top)) // 2 - top)
    elif padding is not None:
        width, height = right - left + 2 * margin, bottom - top + 2 * margin
        at = (margin - left, margin - top)
    else:
        height, width = cut.alpha.shape
        at = (0, 0)
    if max(width, height) > MAX_CANVAS or min(width, height) < MIN_CANVAS:
        said = f"the canvas of {width}x{height} is not within {MIN_CANVAS} to {MAX_CANVAS} pixels a side"
        own = ": that is the photo's own size; send padding, or width and height" if at == (0, 0) else ""
        raise Refusal("invalid_request", said + own)
    rgb = np.zeros((height, width, 3), np.uint8)
    alpha = np.zeros((height, width), np.uint8)
    there = np.s_[top + at[1] : bottom + at[1], left + at[0] : right + at[0]]
    rgb[there] = cut.rgb[top:bottom, left:right]
    alpha[there] = cut.alpha[top:bottom, left:right]
    return Placed(rgb, alpha, at)


def scene_size(width: int, height: int, most_pixels: int, least: int = MIN_SCENE) -> tuple[int, int]:
    """Return the (width, height) of a canvas's scene: its proportions, at most `most_pixels`, multiples of STEP."""
    scale = min(1.0, math.sqrt(most_pixels / (width * height)))
    scale = max(scale, least / min(width, height))
    sides = [max(least, int(side * scale) // STEP * STEP) for side in (width, height)]
    while sides[0] * sides[1] > most_pixels:
        sides[sides.index(max(sides))] -= STEP
    return sides[0], sides[1]


def conditioning(placed: Placed, size: tuple[int, int]) -> tuple[Image.Image, Image.Image]:
    """Return the inpainting model's input: the product over its own blurred colours, and the mask, 255 where to paint.

    The mask spares the product and PROTECTED pixels around it, so that the model has no reason to enlarge the object.
    Only this copy is scaled; the answer takes the product from `placed`.
    """
    alpha = Image.fromarray(placed.alpha)
    grey = Image.new("RGB", placed.size, (127, 127, 127))
    shown = grey.copy()
    shown.paste(Image.fromarray(placed.rgb), mask=alpha)
    small = shown.resize(size, Image.Resampling.LANCZOS)
    fill = small.filter(ImageFilter.GaussianBlur(max(size) / 16))
    mask = np.asarray(alpha.resize(size, Image.Resampling.BILINEAR))
    kept = Image.fromarray(((mask > 0) * 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * PROTECTED + 1))
    over = Image.fromarray(mask)
    fill.paste(small, mask=over)
    return fill, Image.fromarray(255 - np.asarray(kept))

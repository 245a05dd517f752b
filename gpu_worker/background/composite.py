"""Composes scene, shadow and product with integer blending, and verifies that the product's pixels are unchanged."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from gpu_worker.background.placement import Placed

SHADOW: Final = 0.45
SQUASHED: Final = 0.1
SOLID: Final = 128  # of 255: pixels of lower alpha cast no shadow, since they may be a shadow themselves


class NotExact(Exception):
    """A pixel of the product's opaque core differs from the upload; the answer must be discarded."""


def shadow(alpha: NDArray[np.uint8], strength: float = SHADOW) -> NDArray[np.float32]:
    """Return the light that a contact shadow takes, height x width, 0 to `strength`.

    The shadow is the product's outline flattened at its base; all zeros if no pixel reaches an alpha of SOLID.
    """
    alpha = np.where(alpha < SOLID, 0, alpha).astype(np.uint8)
    if not alpha.any():
        return np.zeros(alpha.shape, np.float32)
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    left, right, top, bottom = int(columns[0]), int(columns[-1]) + 1, int(rows[0]), int(rows[-1]) + 1
    flat = max(2, round((bottom - top) * SQUASHED))
    outline = Image.fromarray(alpha[top:bottom, left:right]).resize((right - left, flat), Image.Resampling.BOX)
    canvas = Image.new("L", (alpha.shape[1], alpha.shape[0]))
    canvas.paste(outline, (left, bottom - flat // 2))
    soft = canvas.filter(ImageFilter.GaussianBlur(max(1.0, (right - left) * 0.02)))
    return np.asarray(soft, np.float32) * np.float32(strength / 255)


def compose(scene: NDArray[np.uint8], placed: Placed, strength: float = SHADOW) -> tuple[NDArray[np.uint8], float]:
    """Return the composed image, height x width x 3, and its `exact_pixel_fraction`. Raises NotExact.

    The scene is scaled to the canvas if needed; the product never is. The shadow falls on the scene only.
    """
    image = Image.fromarray(scene)
    if image.size != placed.size:
        image = image.resize(placed.size, Image.Resampling.LANCZOS)
    lit = np.asarray(image, np.float32) * (1 - shadow(placed.alpha, strength))[..., None]
    made = blended(np.round(lit).astype(np.uint8), placed.rgb, placed.alpha)
    return made, proven(made, placed)


def blended(under: NDArray[np.uint8], over: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blend `over` onto `under`, rounded to nearest: alpha 255 gives exactly `over`, alpha 0 exactly `under`."""
    weight = alpha.astype(np.uint16)[..., None]
    mixed = over.astype(np.uint16) * weight + under.astype(np.uint16) * (255 - weight) + 127
    return (mixed // 255).astype(np.uint8)


def proven(made: NDArray[np.uint8], placed: Placed) -> float:
    """Return the share of the product's visible pixels that are byte-equal to the upload's.

    Raises NotExact unless the whole opaque core is equal; only the blended edge lowers the share below 1.
    """
    equal = (made == placed.rgb).all(axis=-1)
    core, shown = placed.alpha == 255, placed.alpha > 0
    if wrong := int((core & ~equal).sum()):
        raise NotExact(f"{wrong} pixels of the product differ")
    return float((equal & shown).sum() / shown.sum())

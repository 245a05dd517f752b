"""Cuts a product out of its photo, by the photo's alpha channel or by a segmenter's probabilities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpu_worker.contract import Refusal
from gpu_worker.pipelines.pictures import SEEN, Picture

# Maps a segmenter's probability to opacity 0 to 1; below the range, the old background would show as a halo.
EDGE: Final = (0.5, 0.9)
MIN_PIXELS: Final = 16
SOFT: Final = 4  # pixels around a product; faint pixels within belong to its edge


@dataclass(frozen=True, slots=True)
class Cutout:
    """A product in its photo's size. `probability` is the segmenter's, None if the photo had an alpha channel."""

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    probability: NDArray[np.float32] | None = None
    faint: bool = False  # pixels too faint for a product lie farther out than a soft edge

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the product; right and bottom are exclusive."""
        there = self.alpha >= SEEN
        rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    @property
    def half(self) -> int:
        """The opacity from which a pixel counts as covered: 128, or half of the highest in a photo's own alpha."""
        if self.probability is not None:
            return 128
        above = np.cumsum(np.bincount(self.alpha.ravel(), minlength=256)[::-1])[::-1]
        return (int(np.flatnonzero(above >= MIN_PIXELS)[-1]) + 1) // 2


def by_alpha(picture: Picture) -> Cutout:
    """Cut out by the photo's alpha channel, without too faint pixels. Raises Refusal if nothing is left."""
    if picture.alpha is None:
        raise ValueError("the picture has no alpha")
    cut = _there(Cutout(picture.rgb, seen(picture.alpha)), "the image's alpha channel leaves nothing of a product")
    left, top, right, bottom = cut.box
    around = picture.alpha.copy()
    around[max(0, top - SOFT) : bottom + SOFT, max(0, left - SOFT) : right + SOFT] = 0
    return replace(cut, faint=bool(around.any()))


def by_probability(picture: Picture, probability: NDArray[np.float32]) -> Cutout:
    """Cut out by a segmenter's mask: opaque from EDGE's upper end, feathered inward only, edge colours cleaned.

    Raises Refusal if there is no product.
    """
    low, high = EDGE
    alpha = np.round(np.clip((probability - low) / (high - low), 0.0, 1.0) * 255).astype(np.uint8)
    cut = _there(Cutout(picture.rgb, seen(alpha), probability), "no product was found in the image")
    return Cutout(freed(cut.rgb, cut.alpha), cut.alpha, probability)


def seen(alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the alpha with values below SEEN set to 0."""
    return np.where(alpha < SEEN, 0, alpha).astype(np.uint8)


def freed(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], reach: int = 3) -> NDArray[np.uint8]:
    """Recolour half-transparent pixels with the mean of the opaque pixels within `reach`; others stay unchanged."""
    core, soft = alpha == 255, (alpha > 0) & (alpha < 255)
    if not core.any() or not soft.any():
        return rgb
    near = _around(core.astype(np.int64)[..., None], reach)[..., 0]
    spread = _around(rgb.astype(np.int64) * core[..., None], reach)
    reached = soft & (near > 0)
    made = rgb.copy()
    made[reached] = np.round(spread[reached] / near[reached][:, None]).astype(np.uint8)
    return made


def _around(values: NDArray[np.int64], reach: int) -> NDArray[np.int64]:
    """Return, for each pixel, the sum over the square that extends `reach` pixels to each side."""
    for axis in (0, 1):
        room = [(reach + 1, reach) if n == axis else (0, 0) for n in range(values.ndim)]
        sums = np.cumsum(np.pad(values, room), axis=axis)
        wide = values.shape[axis]
        ahead, behind = (np.take(sums, range(n, n + wide), axis=axis) for n in (2 * reach + 1, 0))
        values = ahead - behind
    return values


def _there(cut: Cutout, message: str) -> Cutout:
    if int((cut.alpha >= SEEN).sum()) < MIN_PIXELS:
        raise Refusal("invalid_request", message)
    return cut

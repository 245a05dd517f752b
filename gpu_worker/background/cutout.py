"""The product cut out of its photo: by the alpha that the photo has, or by a segmenter's probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gpu_worker.contract import Refusal
from gpu_worker.pipelines.pictures import Picture

# A segmenter's probability becomes opacity between these: below, the old background would show as a halo.
EDGE: Final = (0.5, 0.9)
LEAST_PIXELS: Final = 16


@dataclass(frozen=True, slots=True)
class Cutout:
    """`rgb` and `alpha` in the photo's size. `probability` is the segmenter's, None where the photo had an alpha."""

    rgb: NDArray[np.uint8]
    alpha: NDArray[np.uint8]
    probability: NDArray[np.float32] | None = None

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom of what is not wholly clear; right and bottom are the first pixels outside."""
        rows, columns = np.flatnonzero(self.alpha.any(axis=1)), np.flatnonzero(self.alpha.any(axis=0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def by_alpha(picture: Picture) -> Cutout:
    """The alpha exactly as it was sent. Raises Refusal where it shows nothing."""
    if picture.alpha is None:
        raise ValueError("the picture has no alpha")
    return _there(Cutout(picture.rgb, picture.alpha), "the image's alpha channel leaves nothing of a product")


def by_probability(picture: Picture, probability: NDArray[np.float32]) -> Cutout:
    """The mask of a segmenter: opaque from EDGE's upper end, feathered inward only, its soft edge freed of old colour.

    Raises Refusal where no product was found.
    """
    low, high = EDGE
    alpha = np.round(np.clip((probability - low) / (high - low), 0.0, 1.0) * 255).astype(np.uint8)
    cut = _there(Cutout(picture.rgb, alpha, probability), "no product was found in the image")
    return Cutout(freed(cut.rgb, cut.alpha), cut.alpha, probability)


def freed(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], reach: int = 3) -> NDArray[np.uint8]:
    """The half-clear pixels in the colour of the opaque ones near them; every other pixel stays as it is."""
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
    """For each pixel the sum over the square that goes `reach` beyond it on each side."""
    for axis in (0, 1):
        room = [(reach + 1, reach) if n == axis else (0, 0) for n in range(values.ndim)]
        sums = np.cumsum(np.pad(values, room), axis=axis)
        wide = values.shape[axis]
        ahead, behind = (np.take(sums, range(n, n + wide), axis=axis) for n in (2 * reach + 1, 0))
        values = ahead - behind
    return values


def _there(cut: Cutout, message: str) -> Cutout:
    if int((cut.alpha >= 128).sum()) < LEAST_PIXELS:
        raise Refusal("invalid_request", message)
    return cut

"""Scores how far a product background can be trusted, 0 to 1, from parts that are computed and returned one by one.

The score is a heuristic, not a probability: it has not been fitted to people's verdicts. It ranks answers, and it falls
when a part gets worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

VERSION: Final = 1
LOW: Final = 0.5  # below it the answer has a warning
_BAND: Final = 0.05
_AREA: Final = (0.02, 0.9)


def mask_certainty(probability: NDArray[np.float32]) -> float:
    """Return the mean of 1 - 4p(1-p) where p > 0.05, or 0 where p < 0.5: 1 for a mask of sure pixels, 0 for one of 0.5.

    Source: the segmenter's probabilities over the mask and its soft band. The rest of the image is left out, because a
    mean over all of it stays high even for a useless edge. The band outside the mask counts as 0, because a wide halo
    of low probabilities, each fairly certain by itself, is a worse mask, not a better one.
    """
    p = probability[probability > _BAND].astype(np.float64)
    return float(np.mean(np.where(p < 0.5, 0.0, 1 - 4 * p * (1 - p)))) if p.size else 0.0


def expansion(given: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """Return the object's growth: (area of both masks' union - area of the given mask) / area of the given mask.

    Source: `given`, the mask passed to the model, and `found`, a segmenter's mask of its output, of the same size. The
    measure is that of Eshratifar et al., "Salient Object-Aware Background Generation", divided by the given area.
    """
    mine, theirs = given >= 0.5, found >= 0.5
    area = int(mine.sum())
    return float(((mine | theirs).sum() - area) / area) if area else 0.0


def edge_clipped(alpha: NDArray[np.uint8], half: int = 128) -> float:
    """Return the share of the photo's border that the product covers: 0 for a product wholly inside the photo.

    Source: the alpha in the photo's own frame, before placement; a pixel counts as covered from `half` on.
    """
    border = np.concatenate([alpha[0], alpha[-1], alpha[1:-1, 0], alpha[1:-1, -1]])
    return float((border >= half).mean())


def area_fraction(alpha: NDArray[np.uint8], half: int = 128) -> float:
    """Return the share of the photo that the product covers. Source: the same alpha as for `edge_clipped`."""
    return float((alpha >= half).mean())


def overall(parts: Mapping[str, float | None]) -> float:
    """Return the score, 0 to 1: the product of one factor per part, without the parts that are None.

    The factors: `mask_certainty` itself; 1 / (1 + e) for the larger of `expansion` and `expansion_shown`; 1 - 2e, at
    least 0.2, for `edge_clipped`; for `area_fraction` 1 from 2 % to 90 % of the photo, falling to 0 at 0 % and to 0.2
    at 100 %.
    """
    score = 1.0
    if (certainty := parts.get("mask_certainty")) is not None:
        score *= certainty
    grown = [e for name in ("expansion", "expansion_shown") if (e := parts.get(name)) is not None]
    if grown:
        score /= 1 + max(grown)
    if (clipped := parts.get("edge_clipped")) is not None:
        score *= max(0.2, 1 - 2 * clipped)
    if (area := parts.get("area_fraction")) is not None:
        low, high = _AREA
        score *= min(1.0, area / low) * (1.0 if area <= high else 1 - 0.8 * (area - high) / (1 - high))
    return float(min(1.0, max(0.0, score)))

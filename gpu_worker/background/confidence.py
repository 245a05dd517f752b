"""How far a product background can be trusted: a score made of parts that are each computed and each returned.

It is a heuristic and no probability: it has not been fitted to people's verdicts. It orders answers, and it falls
when a part gets worse.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

VERSION: Final = 1
LOW: Final = 0.5  # below it the answer says so
_BAND: Final = 0.05
_AREA: Final = (0.02, 0.9)


def mask_certainty(probability: NDArray[np.float32]) -> float:
    """The mean, where p > 0.05, of 1 - 4p(1-p), or 0 where p < 0.5: 1 for a mask of sure pixels, 0 for one of 0.5.

    Source: the segmenter's probabilities over the mask and its soft band. The rest of the image is left out, as a mean
    over all of it stays high even for a useless edge. The band outside the mask counts as nothing, since a wide halo of
    low probabilities, each fairly sure by itself, is a worse mask and not a better one.
    """
    p = probability[probability > _BAND].astype(np.float64)
    return float(np.mean(np.where(p < 0.5, 0.0, 1 - 4 * p * (1 - p)))) if p.size else 0.0


def expansion(given: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    """How much larger the object became: (area of both masks together - area of the given one) / area of the given one.

    Source: the mask given to the model, and a segmenter's mask of what the model made of it; both at the same size. The
    measure is that of Eshratifar et al., "Salient Object-Aware Background Generation", divided by the given area.
    """
    mine, theirs = given >= 0.5, found >= 0.5
    area = int(mine.sum())
    return float(((mine | theirs).sum() - area) / area) if area else 0.0


def edge_clipped(alpha: NDArray[np.uint8], half: int = 128) -> float:
    """The share of the photo's border that the product covers: 0 for one that is wholly in the photo.

    Source: the alpha in the photo's own frame, before it is placed; a pixel of `half` or more is covered.
    """
    border = np.concatenate([alpha[0], alpha[-1], alpha[1:-1, 0], alpha[1:-1, -1]])
    return float((border >= half).mean())


def area_fraction(alpha: NDArray[np.uint8], half: int = 128) -> float:
    """The share of the photo that the product covers. Source: the alpha in the photo's own frame, as above."""
    return float((alpha >= half).mean())


def overall(parts: Mapping[str, float | None]) -> float:
    """The score, 0 to 1: the product of what each part leaves of it; a part that is null has no say.

    `mask_certainty` as it is; the worse of `expansion` and `expansion_shown` as 1 / (1 + e); `edge_clipped` as 1 - 2 e,
    at least 0.2; `area_fraction` as 1 from 2 % to 90 % of the photo, down to 0 at nothing and to 0.2 at all of it.
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

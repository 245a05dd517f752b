"""How an exact size is reached with a model that knows only aspect ratios."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lambdas.domain.catalogue import ModelCard, Size


@dataclass(frozen=True, slots=True)
class SizePlan:
    """`final` is what the client gets; `generate` what the provider is asked for."""

    final: Size
    generate: Size
    ratio: str | None

    def note(self, made: Size) -> dict[str, str] | None:
        """The declaration for the answer when the picture `made` was not of the final size; else `None`."""
        if made == self.final:
            return None
        scale = max(self.final[0] / made[0], self.final[1] / made[1])
        cropped = abs(made[0] * scale - self.final[0]) >= 1 or abs(made[1] * scale - self.final[1]) >= 1
        how = ["enlarged" if scale > 1 else "reduced"] if scale != 1 else []
        how += ["cropped"] if cropped else []
        return {
            "generated": f"{made[0]}x{made[1]}",
            "returned": f"{self.final[0]}x{self.final[1]}",
            "by": "+".join(how),
        }


def plan(card: ModelCard, width: int | None, height: int | None) -> SizePlan:
    """Choose the model's aspect ratio nearest to width:height, by the ratio of ratios.

    One side alone makes a square where the model has no default of that side. Nothing is refused here:
    each side's limits were checked with the request.
    """
    if width is None and height is None:
        width, height = card.default_size
    width, height = width or height or 0, height or width or 0
    if not card.ratios:
        return SizePlan((width, height), (width, height), None)
    want = math.log(width / height)
    ratio = min(card.ratios, key=lambda r: abs(math.log(card.ratios[r][0] / card.ratios[r][1]) - want))
    return SizePlan((width, height), card.ratios[ratio], ratio)

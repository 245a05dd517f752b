"""How an exact size is reached with a model that knows only aspect ratios."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lambdas.domain.catalogue.model_card import ModelCard, Sides, Size


@dataclass(frozen=True, slots=True)
class Sizing:
    """How a picture came to its size: what the model made, what is answered, and by which steps."""

    generated: str
    returned: str
    by: str


@dataclass(frozen=True, slots=True)
class SizePlan:
    """`final` is what the client gets; `generate` what the provider is asked for."""

    final: Size
    generate: Size
    ratio: str | None

    def note(self, made: Size) -> Sizing | None:
        """The declaration for the answer when the picture `made` was not of the final size; else `None`."""
        if made == self.final:
            return None
        scale = max(self.final[0] / made[0], self.final[1] / made[1])
        cropped = abs(made[0] * scale - self.final[0]) >= 1 or abs(made[1] * scale - self.final[1]) >= 1
        how = ["enlarged" if scale > 1 else "reduced"] if scale != 1 else []
        how += ["cropped"] if cropped else []
        return Sizing(f"{made[0]}x{made[1]}", f"{self.final[0]}x{self.final[1]}", "+".join(how))


def plan(card: ModelCard, width: int | None, height: int | None) -> SizePlan:
    """Choose the model's aspect ratio nearest to width:height, by the ratio of ratios.

    One side alone makes a square where the model has no default of that side. Nothing is refused here:
    each side's limits were checked with the request.
    """
    if width is None and height is None:
        width, height = card.default_size
    width, height = width or height or 0, height or width or 0
    if card.sides:
        return SizePlan((width, height), _within(card.sides, width, height), None)
    if not card.ratios:
        return SizePlan((width, height), (width, height), None)
    want = math.log(width / height)
    ratio = min(card.ratios, key=lambda r: abs(math.log(card.ratios[r][0] / card.ratios[r][1]) - want))
    return SizePlan((width, height), card.ratios[ratio], ratio)


def _within(sides: Sides, width: int, height: int) -> Size:
    """The size nearest to width x height that the model takes and that covers it in proportion.

    Scaled as a whole into the limits first, then each side is rounded up to the step; what is too much is cropped.
    """
    scale = max(1.0, sides.least / min(width, height))
    scale = min(scale, sides.most / max(width, height), math.sqrt(sides.most_pixels / (width * height)))

    def side(length: int) -> int:
        wanted = math.ceil(round(length * scale / sides.step, 6)) * sides.step
        return min(max(wanted, -(-sides.least // sides.step) * sides.step), sides.most // sides.step * sides.step)

    made = side(width), side(height)
    while made[0] * made[1] > sides.most_pixels:  # rounding up went over the limit
        made = (made[0] - sides.step, made[1]) if made[0] >= made[1] else (made[0], made[1] - sides.step)
    return made

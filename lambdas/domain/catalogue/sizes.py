"""Plans how an exact size is reached with a model that offers only aspect ratios or certain sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lambdas.domain.catalogue.model_card import ModelCard, Sides, Size

MEGAPIXEL = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sizing:
    """The generated size, the returned size, and how one became the other."""

    generated: str
    returned: str
    by: str


@dataclass(frozen=True, slots=True)
class SizePlan:
    """`final` is the size of the answer, `generate` the size that the provider is asked for."""

    final: Size
    generate: Size
    ratio: str | None

    def note(self, made: Size) -> Sizing | None:
        """Return the statement for the answer if the generated size `made` is not the final one; else `None`."""
        if made == self.final:
            return None
        scale = max(self.final[0] / made[0], self.final[1] / made[1])
        cropped = abs(made[0] * scale - self.final[0]) >= 1 or abs(made[1] * scale - self.final[1]) >= 1
        how = ["enlarged" if scale > 1 else "reduced"] if scale != 1 else []
        how += ["cropped"] if cropped else []
        return Sizing(f"{made[0]}x{made[1]}", f"{self.final[0]}x{self.final[1]}", "+".join(how))


def of_shape(size: Size, least: int, most: int, step: int) -> Size:
    """Return a size of about that proportion and one megapixel, of sides from `least` to `most` in steps of `step`."""
    scale = math.sqrt(MEGAPIXEL / (size[0] * size[1]))
    width, height = (max(least, min(most, round(side * scale / step) * step)) for side in size)
    return width, height


def plan(card: ModelCard, width: int | None, height: int | None) -> SizePlan:
    """Choose the model's nearest size: for ratios, the one with the smallest quotient to width:height.

    One side alone gives a square. Nothing is refused here: the limits of each side were checked with the request.
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
    """Return the nearest size to width x height that the model takes and that covers its proportion.

    The size is scaled into the limits, then each side is rounded up to the step; the excess is cropped later.
    """
    scale = max(1.0, sides.min / min(width, height))
    scale = min(scale, sides.max / max(width, height), math.sqrt(sides.max_pixels / (width * height)))

    def side(length: int) -> int:
        wanted = math.ceil(round(length * scale / sides.step, 6)) * sides.step
        return min(max(wanted, -(-sides.min // sides.step) * sides.step), sides.max // sides.step * sides.step)

    made = side(width), side(height)
    while made[0] * made[1] > sides.max_pixels:  # rounding up went over the limit
        made = (made[0] - sides.step, made[1]) if made[0] >= made[1] else (made[0], made[1] - sides.step)
    return made

"""Cuts a product out of its photo, with Pillow alone, and scores how far the cut-out can be trusted.

The confidence is a heuristic, not a probability: it ranks answers, and falls when a part gets worse. Its parts have the
meaning of the GPU worker's parts of these names, but the certainty is computed from the opacities, also from those of a
photo's own alpha channel. A part of null is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

from lambdas.adapters.images import border_cuts
from lambdas.adapters.images.frames import extended, unshown
from lambdas.domain.backgrounds import LOW, Box, Unplaceable
from lambdas.domain.failures import Failure, ProviderFailure

if TYPE_CHECKING:
    from PIL.Image import Image

MIN_PIXELS: Final = 16
SEEN: Final = 12  # of 255: fainter pixels are never product
OPAQUE: Final = 250  # an alpha channel with no value below counts as absent
SOFT: Final = 4  # pixels around a product; faint pixels within belong to its edge
HOLE: Final = 0.01  # of the product: smaller enclosed areas get no warning
ENCLOSED: Final = "what has the ground's colour inside the product was taken for a part of it"
AREA: Final = (0.02, 0.9)

Colour = tuple[int, int, int]
Parts = dict[str, float | None]


@dataclass(frozen=True)
class Cutout:
    """A product in its photo's size. `alpha` keeps the product alone.

    `evenness`: the share of the photo's border that has the border's colour, for a cut-out by border. `enclosed`: the
    share of the product that has that colour and is surrounded by the rest. `own`: whether the alpha is the client's
    own, where half-transparent pixels are intended. `faint`: whether pixels too faint for a product were left out
    beyond its edge.
    """

    rgb: Image
    alpha: Image
    evenness: float | None = None
    enclosed: float | None = None
    own: bool = False
    faint: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        kept = seen(self.alpha)
        object.__setattr__(self, "faint", _reaches(self.alpha.getbbox(), kept.getbbox()))
        object.__setattr__(self, "alpha", kept)

    @classmethod
    def by_alpha(cls, photo: Image) -> Self | None:
        """Cut out by the photo's own alpha channel; `None` if it has none, or an opaque one."""
        if photo.mode != "RGBA":
            return None
        alpha = photo.getchannel("A")
        least, _ = alpha.getextrema()
        return None if least >= OPAQUE else cls(photo.convert("RGB"), alpha, own=True)  # type: ignore[operator]

    @classmethod
    def by_service(cls, photo: Image, answer: Image) -> Self:
        """Cut out by the answer of a service that removes backgrounds. Raises ProviderFailure if it is not a cut-out.

        The pixels of the opaque core are the photo's own; those of the soft edge are the service's, which has removed
        the old background's colour from them.
        """
        from PIL import Image, ImageChops

        if answer.mode != "RGBA":
            raise ProviderFailure(Failure.BAD_ANSWER, "the cut-out has no alpha channel", paid="unknown")
        (width, height), _ = extended(photo.size)
        if abs(answer.width * height / (answer.height * width) - 1) > 0.02:
            raise ProviderFailure(Failure.BAD_ANSWER, "the cut-out is of another picture", paid="unknown")
        left = unshown(answer, photo.size)
        alpha, before = left.getchannel("A"), cls.by_alpha(photo)
        if before is not None:
            alpha = ImageChops.darker(alpha, before.alpha)
        return cls(Image.composite(photo.convert("RGB"), left.convert("RGB"), fully(alpha)), alpha)

    @classmethod
    def by_border(cls, photo: Image) -> Self:
        """Cut out by the colour of the photo's border: simple, and good for a product on a plain ground."""
        rgb = photo.convert("RGB")
        colours, alpha, far, enclosed = border_cuts.cut(rgb, border_colour(rgb))
        counts = border(far)
        even = sum(counts[: border_cuts.NEAR + 1]) / sum(counts)
        return cls(colours, alpha, evenness=even, enclosed=enclosed)

    @cached_property
    def box(self) -> Box:
        """The product's box. Raises Unplaceable if there is no product."""
        found = self.alpha.getbbox()
        if found is None or sum(self.alpha.histogram()[SEEN:]) < MIN_PIXELS:
            raise Unplaceable("no product was found in the image")
        return found

    def judged(self) -> tuple[float, Parts, tuple[str, ...]]:
        """Return the confidence, 0 to 1, its parts, and the warnings for the client."""
        opacities, edge = self.alpha.histogram(), border(self.alpha)
        most = _most(opacities) if self.own else 255
        half = (most + 1) // 2
        clipped = sum(edge[half:]) / sum(edge)
        parts: Parts = {
            "mask_certainty": _certainty(opacities, most),
            "edge_clipped": clipped,
            "area_fraction": sum(opacities[half:]) / sum(opacities),
            "border_evenness": self.evenness,
            "enclosed_fraction": self.enclosed,
        }
        score = overall(parts)
        said = [f"low confidence in the cut-out ({score:.2f}): look at the mask"] if score < LOW else []
        said += ["the product touches the photo's border and may be cut off there"] if clipped > 0 else []
        said += [ENCLOSED] if (self.enclosed or 0) > HOLE else []
        said += [f"what is fainter than {SEEN} of 255 was not taken for product"] if self.faint else []
        return score, parts, tuple(said)


def seen(alpha: Image) -> Image:
    """Return the alpha with values below SEEN set to 0."""
    return alpha.point([0] * SEEN + list(range(SEEN, 256)))


def fully(alpha: Image) -> Image:
    """Return the opaque core: 255 where the alpha is 255, and 0 elsewhere."""
    return alpha.point([0] * 255 + [255])


def border(picture: Image) -> list[int]:
    """Return the histogram of a picture's outermost pixels, band after band."""
    width, height = picture.size
    sides = [(0, 0, width, 1), (0, height - 1, width, height), (0, 1, 1, height - 1), (width - 1, 1, width, height - 1)]
    counts = [picture.crop(box).histogram() for box in sides if box[0] < box[2] and box[1] < box[3]]
    return [sum(column) for column in zip(*counts, strict=True)]


def border_colour(rgb: Image) -> Colour:
    """Return the median of the outermost pixels, band by band."""
    counts = border(rgb)
    red, green, blue = (_median(counts[at : at + 256]) for at in (0, 256, 512))
    return red, green, blue


def overall(parts: Parts) -> float:
    """Return the score, 0 to 1: the product of one factor per part.

    The factors: `mask_certainty` and `border_evenness` themselves; 1 - e for `enclosed_fraction` and 1 - 2e for
    `edge_clipped`, both at least 0.2; for `area_fraction` 1 from 2 % to 90 % of the photo, falling to 0 at 0 % and to
    0.2 at 100 %.
    """
    score = 1.0
    for name in ("mask_certainty", "border_evenness"):
        if (part := parts.get(name)) is not None:
            score *= part
    if (clipped := parts.get("edge_clipped")) is not None:
        score *= max(0.2, 1 - 2 * clipped)
    if (enclosed := parts.get("enclosed_fraction")) is not None:
        score *= max(0.2, 1 - enclosed)
    if (area := parts.get("area_fraction")) is not None:
        low, high = AREA
        score *= min(1.0, area / low) * (1.0 if area <= high else 1 - 0.8 * (area - high) / (1 - high))
    return min(1.0, max(0.0, score))


def _certainty(opacities: list[int], most: int) -> float:
    """Return the mean over the mask of 1 - 4p(1-p), or 0 where p < 0.5: 1 for a mask of sure pixels, 0 for one of 0.5.

    p is the opacity as a part of `most`.
    """
    counted = sum(opacities[SEEN:])
    parts = [min(1.0, n / most) for n in range(256)]
    sure = sum(count * (1 - 4 * p * (1 - p)) for count, p in zip(opacities, parts, strict=True) if p >= 0.5)
    return sure / counted if counted else 0.0


def _most(opacities: list[int]) -> int:
    """Return the opacity of the product: 255, unless the whole product is half-transparent."""
    above = 0
    for level in range(255, SEEN, -1):
        above += opacities[level]
        if above >= MIN_PIXELS:
            return level
    return SEEN


def _reaches(whole: Box | None, kept: Box | None) -> bool:
    """Return whether one box extends farther than a soft edge beyond the other."""
    if whole is None or kept is None:
        return False
    return any(abs(side - other) > SOFT for side, other in zip(whole, kept, strict=True))


def _median(counts: list[int]) -> int:
    half, seen = sum(counts) / 2, 0
    for level, count in enumerate(counts):
        seen += count
        if seen >= half:
            return level
    return 0

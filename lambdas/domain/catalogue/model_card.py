"""What is known of one model: the shape of the catalogue's rows."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal

Size = tuple[int, int]
BORDER = "border"  # our own plain cut-out: everything but the colour of the photo's border


@dataclass(frozen=True, slots=True)
class Sides:
    """The sides, in pixels, of a model that takes any width and height within limits."""

    least: int
    most: int
    step: int
    most_pixels: int = 100_000_000


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model at one provider. Sizes in pixels, prices in USD per image, times in seconds."""

    id: str
    provider: str
    owned_by: str
    price_usd: float
    default_size: Size
    honours: frozenset[str]  # of: negative_prompt, steps, cfg, seed
    formats: tuple[str, ...]  # what the provider itself can encode, best first
    created: int  # Unix time of the model's release
    capabilities: frozenset[str] = frozenset({"text-to-image"})
    ratios: dict[str, Size] = field(default_factory=dict)  # aspect ratio -> size it is generated at
    sides: Sides | None = None  # instead of ratios; with neither, any size the service takes
    seed_min: int = 0
    seed_max: int = 4294967295
    steps_max: int = 150
    distilled: bool = False  # to few steps and no guidance: it takes those that a client sends, and no route's own
    prompt_max: int = 10_000
    negative_prompt_max: int = 10_000
    negative_above_cfg: float = -1.0  # a negative prompt does something with more guidance than this
    # instant: one call that always ends well within a gateway's time; single_shot: one call that may take longer;
    # ticket: a call that answers with the provider's own job id, which is asked after until it is done
    call: Literal["instant", "single_shot", "ticket"] = "single_shot"
    max_seconds: float = 300.0  # a call that has not answered by then is given up
    region: str | None = None
    retires_on: date | None = None
    references: int = 0  # how many reference images it takes
    reference_side: int = 0  # pixels that the shorter side of such an image must have
    quality: int = 5  # 1 to 10, from public side-by-side rankings; orders models for the strategy `quality`
    typical_seconds: float = 6.0  # what one image takes, until this deployment has seen its own
    licence: str = ""  # what may be done with the images, in a few words
    # Of a model of backgrounds, who cuts the product out of a photo without an alpha channel: another model's id,
    # BORDER, or empty for the model itself, which then puts the product back too. The others paint a scene alone.
    background_remover: str = ""
    # The only words that it reads; empty: any. Unless a client names it, such a model is asked for those words alone.
    words: frozenset[str] = frozenset()

    def reads(self, prompt: str) -> bool:
        """Whether the prompt is made of the model's words, in any case, with spaces, commas and full stops between."""
        said = re.findall(r"[^\s.,]+", prompt.lower())
        return not self.words or (bool(said) and self.words.issuperset(said))


@dataclass(frozen=True, slots=True)
class Retired:
    """A model that no longer answers: `ended` is `None` where the day is not known."""

    id: str
    provider: str
    owned_by: str
    created: int
    ended: date | None
    reason: str  # a sentence for the client
    replacement: str


def day(year: int, month: int, day_of_month: int) -> int:
    """That day as Unix time."""
    return int(datetime(year, month, day_of_month, tzinfo=UTC).timestamp())

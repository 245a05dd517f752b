"""Defines the catalogue's rows: model cards and retired models."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal

Size = tuple[int, int]
BORDER = "border"  # the service's own cut-out by the colour of the photo's border


@dataclass(frozen=True, slots=True)
class Sides:
    """The limits, in pixels, of a model that takes any width and height within them."""

    min: int
    max: int
    step: int
    max_pixels: int = 100_000_000


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model at one provider. Sizes in pixels, prices in USD per image, times in seconds."""

    id: str
    provider: str
    owned_by: str
    price_usd: float
    default_size: Size
    honours: frozenset[str]  # of: negative_prompt, steps, cfg, seed
    formats: tuple[str, ...]  # that the provider itself encodes, best first
    created: int  # Unix time of the model's release
    capabilities: frozenset[str] = frozenset({"text-to-image"})
    ratios: dict[str, Size] = field(default_factory=dict)  # aspect ratio -> size it is generated at
    sides: Sides | None = None  # instead of ratios; a model without both takes any size
    seed_min: int = 0
    seed_max: int = 4294967295
    steps_max: int = 150
    distilled: bool = False  # ignores a route's default steps and cfg, honours the client's
    prompt_max: int = 10_000
    negative_prompt_max: int = 10_000
    negative_above_cfg: float = -1.0  # a negative prompt has an effect only above this cfg
    # instant: one call that always ends well within the gateway's timeout; single_shot: one call that may take longer;
    # ticket: a call that returns the provider's own job id, which is polled
    call: Literal["instant", "single_shot", "ticket"] = "single_shot"
    max_seconds: float = 300.0  # timeout of a call
    region: str | None = None
    retires_on: date | None = None
    references: int = 0  # the maximum number of reference images
    reference_side: int = 0  # minimum pixels of the shorter side of such an image
    quality: int = 5  # 1 to 10, from public side-by-side rankings; orders models for the strategy `quality`
    typical_seconds: float = 6.0  # of one image, until the deployment has observed its own
    licence: str = ""  # a short description of what it permits
    # Of a background model: what removes the background of a photo without an alpha channel. Another model's id or
    # BORDER (the model generates only the scene then), or empty if the model itself does it and puts the product back.
    background_remover: str = ""
    # The vocabulary of a vocabulary-limited model; empty for others. Unless the client names it, such a model is used
    # only for prompts of these words.
    words: frozenset[str] = frozenset()

    def reads(self, prompt: str) -> bool:
        """Return whether the prompt has only words of the model, separated by spaces, commas and full stops."""
        said = re.findall(r"[^\s.,]+", prompt.lower())
        return not self.words or (bool(said) and self.words.issuperset(said))


@dataclass(frozen=True, slots=True)
class Retired:
    """A model that has ended; `ended` is `None` if the day is unknown."""

    id: str
    provider: str
    owned_by: str
    created: int
    ended: date | None
    reason: str  # a sentence for the client
    replacement: str


def day(year: int, month: int, day_of_month: int) -> int:
    """Return the start of the day as Unix time."""
    return int(datetime(year, month, day_of_month, tzinfo=UTC).timestamp())

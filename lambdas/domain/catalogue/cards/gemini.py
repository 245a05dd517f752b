"""Lists the image models of the Gemini API."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from lambdas.domain.catalogue.model_card import ModelCard, Retired, Size, day


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per million tokens: the API's answers count tokens and have no cost."""

    prompt: float
    text: float  # thinking included
    image: float


# The sizes of Gemini 3.x at `1K`, https://ai.google.dev/gemini-api/docs/image-generation as of 2026-09-08;
# at `2K` both sides are twice as long.
_1K: Final[dict[str, Size]] = {
    "1:1": (1024, 1024),
    "16:9": (1376, 768),
    "9:16": (768, 1376),
    "3:2": (1264, 848),
    "2:3": (848, 1264),
    "4:3": (1200, 896),
    "3:4": (896, 1200),
    "5:4": (1152, 928),
    "4:5": (928, 1152),
    "21:9": (1584, 672),
}
_2K: Final = {ratio: (2 * width, 2 * height) for ratio, (width, height) in _1K.items()}

# Released 2026-10-07; known from Google's model list by way of several projects, its price by LiteLLM's table.
_NANO_BANANA = ModelCard(
    "gemini-nano-banana-2.1",
    provider="gemini",
    owned_by="google",
    price_usd=0.0336,  # 1120 tokens at 1K; thinking is billed as text in addition
    default_size=(1024, 1024),
    honours=frozenset({"seed"}),  # best effort; a negative prompt, steps and guidance do not exist
    formats=("png",),  # the model chooses PNG or JPEG: the format is read from the bytes
    created=day(2026, 10, 7),
    capabilities=frozenset({"text-to-image", "image-to-image"}),
    ratios=_1K,
    seed_max=2147483647,
    max_seconds=180.0,
    references=3,  # of the model before it; Google states no number for this one
    quality=8,
    typical_seconds=10.0,
    licence="commercial use allowed; every image carries the SynthID watermark",
)
_PRO = replace(
    _NANO_BANANA,
    id="gemini-3-pro-image",
    price_usd=0.134,  # 1120 tokens, at 1K and 2K alike
    created=day(2026, 5, 28),
    references=14,
    ratios=_2K,
    quality=9,
    typical_seconds=25.0,
)
_LITE = replace(
    _NANO_BANANA,
    id="gemini-3.1-flash-lite-image",
    created=day(2026, 6, 30),
    references=14,
    quality=6,
    typical_seconds=5.0,
)

# The first card is the default.
CARDS: Final = (_NANO_BANANA, _LITE, _PRO)

# The prices of image tokens are of 2026-11-20; those of text tokens are of public price tables of summer 2026.
RATES: Final[dict[str, Rates]] = {
    _NANO_BANANA.id: Rates(prompt=1.5, text=7.5, image=30.0),
    _LITE.id: Rates(prompt=0.25, text=1.5, image=30.0),
    _PRO.id: Rates(prompt=2.0, text=12.0, image=120.0),
}


def _ended(model_id: str, created: int, ended: date, replacement: ModelCard) -> Retired:
    reason = f"Google announced its end for {ended.isoformat()}."
    return Retired(model_id, "gemini", "google", created, ended, reason, replacement.id)


# https://ai.google.dev/gemini-api/docs/deprecations, whose days are "the earliest possible"; for the first two, other
# lists have other days or none. `make models-check` shows which ones a key still has.
RETIRED: Final[tuple[Retired, ...]] = (
    _ended("gemini-3.1-flash-image", day(2026, 5, 28), date(2026, 10, 29), _NANO_BANANA),
    _ended("gemini-2.5-flash-image", day(2025, 10, 2), date(2026, 10, 2), _NANO_BANANA),
    _ended("imagen-4.0-generate-001", day(2025, 8, 14), date(2026, 8, 17), _NANO_BANANA),
    _ended("gemini-3.1-flash-image-preview", day(2026, 2, 26), date(2026, 6, 25), _NANO_BANANA),
    _ended("gemini-3-pro-image-preview", day(2025, 11, 20), date(2026, 6, 25), _PRO),
)

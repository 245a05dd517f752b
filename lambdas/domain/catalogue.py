"""The models the service knows, as data: what each can do, its sizes, its price and its end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Final, Literal

Size = tuple[int, int]


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
    ratios: dict[str, Size] = field(default_factory=dict)  # aspect ratio -> size it is generated at; empty: any size
    seed_min: int = 0
    seed_max: int = 4294967295
    prompt_max: int = 10_000
    call: Literal["instant", "single_shot"] = "single_shot"  # instant: always ends well within a gateway's time
    max_seconds: float = 300.0  # a call that has not answered by then is given up
    region: str | None = None
    retires_on: date | None = None


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


def _day(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp())


# AWS documents the ratios and, for Core and Ultra, sides of 640 to 1536 px, but no size per ratio. These are
# Stability's usual sizes near one megapixel: they choose the ratio, the real size is read from the bytes.
_STABILITY_RATIOS: Final[dict[str, Size]] = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "9:16": (768, 1344),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "5:4": (1152, 896),
    "4:5": (896, 1152),
    "21:9": (1536, 640),
    "9:21": (640, 1536),
}

_CORE = ModelCard(
    "stability.stable-image-core-v1:1",
    provider="bedrock",
    owned_by="stability-ai",
    price_usd=0.04,
    default_size=(1024, 1024),
    honours=frozenset({"negative_prompt", "seed"}),
    formats=("png", "jpeg"),
    created=_day(2024, 12, 19),
    ratios=_STABILITY_RATIOS,
    seed_min=1,  # Bedrock reads 0 as `any seed`
    region="us-west-2",  # the only Region that has it
)
_SD35 = replace(
    _CORE,
    id="stability.sd3-5-large-v1:0",
    price_usd=0.08,
    formats=("png", "webp", "jpeg"),
    seed_max=4294967294,  # one less than Core and Ultra
)
_ULTRA = replace(_CORE, id="stability.stable-image-ultra-v1:1", price_usd=0.14)

# The first card of a provider is that provider's default.
CARDS: Final[tuple[ModelCard, ...]] = (
    _CORE,
    _SD35,
    _ULTRA,
    ModelCard(
        "stabilityai/sdxl-turbo",
        provider="sagemaker",
        owned_by="stabilityai",
        price_usd=0.0,  # a GPU endpoint is billed by the hour it stands, not by the image
        default_size=(512, 512),
        honours=frozenset({"steps", "cfg", "seed"}),  # a negative prompt does nothing at the guidance turbo is made for
        formats=("png", "webp", "jpeg"),
        created=_day(2023, 11, 28),
    ),
    ModelCard(
        "demo/procedural-1",
        provider="demo",
        owned_by="image-api",
        price_usd=0.0,
        default_size=(512, 512),
        honours=frozenset({"seed"}),
        formats=("png", "jpeg", "webp"),
        created=_day(2026, 11, 1),
        call="instant",
        max_seconds=30.0,
    ),
)


def _ended(
    model_id: str, created: int, day: date | None, replacement: ModelCard, owner: str = "stability-ai"
) -> Retired:
    reason = f"Amazon Bedrock ended it on {day.isoformat()}." if day else "Amazon Bedrock has ended it."
    return Retired(model_id, "bedrock", owner, created, day, reason, replacement.id)


RETIRED: Final[tuple[Retired, ...]] = (
    _ended("stability.stable-diffusion-xl-v0", _day(2023, 7, 26), date(2025, 5, 20), _CORE),
    _ended("stability.stable-diffusion-xl-v1", _day(2023, 7, 26), date(2025, 5, 20), _CORE),
    _ended("stability.stable-diffusion-xl-v1:0", _day(2023, 7, 26), date(2025, 5, 20), _CORE),
    _ended("stability.sd3-large-v1:0", _day(2024, 9, 4), None, _SD35),
    _ended("stability.stable-image-core-v1:0", _day(2024, 9, 4), None, _CORE),
    _ended("stability.stable-image-ultra-v1:0", _day(2024, 9, 4), None, _ULTRA),
    _ended("amazon.titan-image-generator-v1", _day(2023, 11, 29), None, _CORE, "amazon"),
    _ended("amazon.titan-image-generator-v2:0", _day(2024, 8, 6), date(2026, 6, 30), _CORE, "amazon"),
    _ended("amazon.nova-canvas-v1:0", _day(2024, 12, 3), date(2026, 9, 30), _CORE, "amazon"),
)

_CARD_BY_ID: Final = {card.id: card for card in CARDS}
_RETIRED_BY_ID: Final = {model.id: model for model in RETIRED}


def card(model_id: str) -> ModelCard | None:
    """The model's card, also after its `retires_on`; `None` for what is in no table of living models."""
    return _CARD_BY_ID.get(model_id)


def retired(model_id: str, today: date | None = None) -> Retired | None:
    """Why the model no longer answers and what to use instead; `None` for a living or unknown model.

    A card whose `retires_on` has come counts as retired from that day on.
    """
    found = _CARD_BY_ID.get(model_id)
    if found is None:
        return _RETIRED_BY_ID.get(model_id)
    today = today or datetime.now(UTC).date()
    if found.retires_on is None or today < found.retires_on:
        return None
    living = (c for c in (*cards_of(found.provider), *CARDS) if c.retires_on is None or today < c.retires_on)
    reason = f"It ended on {found.retires_on.isoformat()}."
    return Retired(found.id, found.provider, found.owned_by, found.created, found.retires_on, reason, next(living).id)


def cards_of(provider: str) -> tuple[ModelCard, ...]:
    """The provider's models, its default first; empty for a provider without any."""
    return tuple(c for c in CARDS if c.provider == provider)


def default_of(provider: str) -> ModelCard:
    """The provider's default model. Raises KeyError for a provider without models."""
    for c in CARDS:
        if c.provider == provider:
            return c
    raise KeyError(provider)

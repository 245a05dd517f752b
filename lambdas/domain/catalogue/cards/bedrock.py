"""Lists the image models of Amazon Bedrock."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Final

from lambdas.domain.catalogue.model_card import ModelCard, Retired, Size, day

# AWS documents the ratios and, for Core and Ultra, sides of 640 to 1536 px, but no size per ratio. These are
# Stability's usual sizes near one megapixel, to choose the ratio by; the real size is read from the bytes.
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
    created=day(2024, 12, 19),
    ratios=_STABILITY_RATIOS,
    seed_min=1,  # for Bedrock 0 means any seed
    region="us-west-2",  # the only Region that has it
    quality=6,
    typical_seconds=5.0,  # not measured
    licence="commercial use allowed under Stability AI's terms on AWS Marketplace",
)
_SD35 = replace(
    _CORE,
    id="stability.sd3-5-large-v1:0",
    price_usd=0.08,
    capabilities=frozenset({"text-to-image", "image-to-image"}),
    references=1,
    reference_side=64,
    formats=("png", "webp", "jpeg"),
    seed_max=4294967294,  # one less than Core and Ultra
    quality=7,
    typical_seconds=8.0,
)
# Not verified: whether Ultra takes a reference image. An AWS sample sends one, AWS's table says no.
_ULTRA = replace(_CORE, id="stability.stable-image-ultra-v1:1", price_usd=0.14, quality=8, typical_seconds=12.0)

# Stability's editing services are only available by a US inference profile, from us-west-2 among others.
_REMOVER = replace(
    _CORE,
    id="us.stability.stable-image-remove-background-v1:0",
    price_usd=0.07,
    honours=frozenset(),
    formats=("png", "webp", "jpeg"),
    created=day(2025, 9, 18),
    capabilities=frozenset({"remove-background"}),
    ratios={},
    quality=6,
    typical_seconds=5.0,
)
_SCENE = replace(
    _REMOVER,
    id="us.stability.stable-image-inpaint-v1:0",
    honours=frozenset({"negative_prompt", "seed"}),
    capabilities=frozenset({"background", "inpaint"}),
    seed_max=4294967294,
    typical_seconds=8.0,
    background_remover=_REMOVER.id,
)

# The first card is the default.
CARDS: Final = (_CORE, _SD35, _ULTRA, _SCENE, _REMOVER)


def _ended(
    model_id: str, created: int, day: date | None, replacement: ModelCard, owner: str = "stability-ai"
) -> Retired:
    reason = f"Amazon Bedrock ended it on {day.isoformat()}." if day else "Amazon Bedrock has ended it."
    return Retired(model_id, "bedrock", owner, created, day, reason, replacement.id)


RETIRED: Final[tuple[Retired, ...]] = (
    _ended("stability.stable-diffusion-xl-v0", day(2023, 7, 26), date(2025, 5, 20), _CORE),
    _ended("stability.stable-diffusion-xl-v1", day(2023, 7, 26), date(2025, 5, 20), _CORE),
    _ended("stability.stable-diffusion-xl-v1:0", day(2023, 7, 26), date(2025, 5, 20), _CORE),
    _ended("stability.sd3-large-v1:0", day(2024, 9, 4), None, _SD35),
    _ended("stability.stable-image-core-v1:0", day(2024, 9, 4), None, _CORE),
    _ended("stability.stable-image-ultra-v1:0", day(2024, 9, 4), None, _ULTRA),
    _ended("amazon.titan-image-generator-v1", day(2023, 11, 29), None, _CORE, "amazon"),
    _ended("amazon.titan-image-generator-v2:0", day(2024, 8, 6), date(2026, 6, 30), _CORE, "amazon"),
    _ended("amazon.nova-canvas-v1:0", day(2024, 12, 3), date(2026, 9, 30), _CORE, "amazon"),
)

"""Lists the image models of Runware, by their AIR ids (runware.ai/docs/models, read 2026-11-20)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lambdas.domain.catalogue.model_card import ModelCard, Sides, day

_FLUX_DEV = ModelCard(
    "runware:101@1",  # FLUX.1 [dev]
    provider="runware_ai",
    owned_by="black-forest-labs",
    # 1024 x 1024 at 28 steps, by the model's schema; the guide of 2026 has 0.0013. Each answer has the real cost.
    price_usd=0.0038,
    default_size=(1024, 1024),
    honours=frozenset({"steps", "cfg", "seed"}),  # a negative prompt has no effect without `trueCFGScale`
    formats=("png", "jpeg", "webp"),
    created=day(2024, 8, 1),
    capabilities=frozenset({"text-to-image", "image-to-image"}),
    sides=Sides(128, 2048, 64),
    seed_min=1,
    prompt_max=3000,  # of the service in general; the model's limit is not verified
    call="ticket",
    references=1,
    quality=6,
    typical_seconds=5.0,  # not measured, as all of this module
    licence="commercial use of the images allowed",
)
_SCHNELL = replace(
    _FLUX_DEV,
    id="runware:100@1",  # FLUX.1 [schnell]
    price_usd=0.0013,  # not verified
    honours=frozenset({"steps", "seed"}),
    distilled=True,
    capabilities=frozenset({"text-to-image"}),
    references=0,
    quality=5,
    typical_seconds=2.0,
    licence="Apache-2.0",
)
# Not verified: whether the sides of FLUX.2 have steps of 16. Steps of 64 and 4 megapixels are valid in either case.
_FLUX2_DEV = replace(
    _FLUX_DEV,
    id="runware:400@1",  # FLUX.2 [dev]
    price_usd=0.012,  # not verified
    created=day(2025, 11, 25),
    sides=Sides(256, 2048, 64),
    quality=8,
    typical_seconds=10.0,
)
_FLUX2_PRO = replace(
    _FLUX2_DEV,
    id="bfl:5@1",  # FLUX.2 [pro]
    price_usd=0.03,  # of a megapixel
    honours=frozenset({"seed"}),  # steps and guidance are fixed
    quality=9,
    typical_seconds=12.0,
)

# The first card is the default.
CARDS: Final = (_FLUX_DEV, _SCHNELL, _FLUX2_DEV, _FLUX2_PRO)

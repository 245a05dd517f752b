"""Lists the image models of Leonardo.Ai, by their names in API v2 (docs.leonardo.ai, read 2026-10-08)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from lambdas.domain.catalogue.model_card import ModelCard, Sides, day

_FLUX_DEV = ModelCard(
    "flux-dev",
    provider="leonardo_ai",
    owned_by="black-forest-labs",
    price_usd=0.0147,  # the documentation's example of an unnamed model; each answer has the real cost
    default_size=(1024, 1024),
    honours=frozenset({"seed"}),  # API v2 has no steps and no guidance, FLUX no negative prompt
    formats=("jpeg",),
    created=day(2024, 8, 1),
    capabilities=frozenset({"text-to-image", "image-to-image"}),
    sides=Sides(480, 2048, 8),
    seed_max=2147483637,
    prompt_max=2000,
    call="ticket",
    references=1,
    quality=6,
    typical_seconds=9.0,  # not measured
    licence="commercial use allowed under Leonardo's terms for its API",
)
_PHOENIX = replace(
    _FLUX_DEV,
    id="phoenix-v1.0",
    owned_by="leonardo-ai",
    honours=frozenset({"negative_prompt", "seed"}),
    created=day(2024, 10, 1),
    capabilities=frozenset({"text-to-image"}),  # whether a guidance may be an inline image is not verified
    sides=Sides(32, 2048, 8),
    negative_prompt_max=1000,
    references=0,
    quality=6,
    typical_seconds=10.0,
)
_LUCID_ORIGIN = replace(
    _PHOENIX,
    id="lucid-origin",
    honours=frozenset({"seed"}),
    created=day(2025, 7, 1),
    sides=Sides(16, 2048, 8),  # Leonardo's maximum is 3840, the service's 2048
    quality=7,
)

# The first card is the default.
CARDS: Final = (_FLUX_DEV, _PHOENIX, _LUCID_ORIGIN)

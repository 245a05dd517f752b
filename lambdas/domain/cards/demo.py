"""The demo, which draws when no provider is configured."""

from __future__ import annotations

from typing import Final

from lambdas.domain.model_card import BORDER, ModelCard, day

CARDS: Final = (
    ModelCard(
        "demo/procedural-1",
        provider="demo",
        owned_by="image-api",
        price_usd=0.0,
        default_size=(512, 512),
        honours=frozenset({"seed"}),
        formats=("png", "jpeg", "webp"),
        created=day(2026, 11, 1),
        capabilities=frozenset({"text-to-image", "background"}),
        call="instant",
        max_seconds=30.0,
        cut_by=BORDER,
    ),
)

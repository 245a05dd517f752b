"""Lists the demo's models: the small model, if its folder is available, and the procedural drawing."""

from __future__ import annotations

from typing import Final

from lambdas.domain.catalogue.cards import scenes
from lambdas.domain.catalogue.model_card import BORDER, ModelCard, day

CARDS: Final = (
    ModelCard(
        scenes.DEMO_SCENES,
        provider="demo",
        owned_by="image-api",
        price_usd=0.0,
        default_size=(512, 512),
        honours=frozenset({"seed"}),
        formats=("png", "jpeg", "webp"),
        created=day(2026, 11, 21),
        ratios=scenes.RATIOS,
        prompt_max=scenes.PROMPT_MAX,
        call="instant",
        max_seconds=30.0,
        quality=2,
        typical_seconds=0.5,
        licence=scenes.LICENCE,
        words=scenes.WORDS,
    ),
    ModelCard(
        "demo/procedural-1",
        provider="demo",
        owned_by="image-api",
        price_usd=0.0,
        default_size=(512, 512),
        honours=frozenset({"seed"}),
        formats=("png", "jpeg", "webp"),
        created=day(2026, 11, 1),
        capabilities=frozenset({"text-to-image", "image-to-image", "inpaint", "background"}),
        references=1,
        call="instant",
        max_seconds=30.0,
        quality=1,
        background_remover=BORDER,
    ),
)

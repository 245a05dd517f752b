"""Lists the models of the project's own GPU worker."""

from __future__ import annotations

from typing import Final

from lambdas.domain.catalogue.cards import scenes
from lambdas.domain.catalogue.model_card import ModelCard, Sides, day

CARDS: Final = (
    ModelCard(
        "stabilityai/sdxl-turbo",
        provider="sagemaker",
        owned_by="stabilityai",
        price_usd=0.0,  # a GPU endpoint is billed by the hour, not by the image
        default_size=(512, 512),
        honours=frozenset({"negative_prompt", "steps", "cfg", "seed"}),
        negative_above_cfg=1.0,  # turbo is made for no guidance, which a negative prompt needs
        formats=("png", "webp", "jpeg"),
        created=day(2023, 11, 28),
        capabilities=frozenset({"text-to-image", "image-to-image"}),
        sides=Sides(min=256, max=1024, step=8, max_pixels=768 * 768),  # made for 512 x 512; repeats itself beyond
        steps_max=8,  # the worker refuses more
        distilled=True,
        max_seconds=840.0,  # an asynchronous endpoint may first have to start its instance
        references=1,
        quality=4,
        typical_seconds=3.0,
        licence="Stability AI Community Licence: free below USD 1 million of yearly revenue",
    ),
    ModelCard(
        "diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
        provider="sagemaker",
        owned_by="diffusers",
        price_usd=0.0,
        default_size=(1024, 1024),
        honours=frozenset({"negative_prompt", "seed"}),
        formats=("png", "webp", "jpeg"),
        created=day(2023, 9, 3),
        capabilities=frozenset({"background"}),
        max_seconds=840.0,
        quality=6,
        typical_seconds=10.0,
        licence="CreativeML Open RAIL++-M",
    ),
    ModelCard(
        scenes.GPU_SCENES,
        provider="sagemaker",
        owned_by="image-api",
        price_usd=0.0,
        default_size=(512, 512),
        honours=frozenset({"steps", "seed"}),
        formats=("png", "webp", "jpeg"),
        created=day(2026, 11, 21),
        ratios={"1:1": (scenes.SIDE, scenes.SIDE)},
        steps_max=8,
        distilled=True,
        prompt_max=scenes.PROMPT_MAX,
        max_seconds=840.0,
        quality=1,
        typical_seconds=1.0,
        licence=scenes.LICENCE,
        words=scenes.WORDS,
    ),
)

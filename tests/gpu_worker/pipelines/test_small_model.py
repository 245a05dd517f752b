"""The worker's own small model in the worker: found, loaded and painted as diffusers itself does, at its one size."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline

from gpu_worker.contract import PaintRequest, Refusal
from gpu_worker.engine.protocol import Painting
from gpu_worker.models.loader import Loader
from gpu_worker.models.registry import Registry
from gpu_worker.models.weights import Sources
from gpu_worker.pipelines.adapters import Folder
from gpu_worker.pipelines.model import Painter
from gpu_worker.pipelines.table import MODELS, SCENES
from tests.gpu_worker.scenes import random_scenes


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that ships a model with weights by lot."""
    folder = tmp_path_factory.mktemp("package")
    shutil.move(random_scenes.save(folder / "made"), folder / SCENES.weights.shipped)
    return folder


@pytest.fixture(scope="module")
def model(package: Path) -> Any:
    loras = Folder(package / "loras")
    loader = Loader(Sources(package / "model", package / "cache", hub=False, package=package), loras, device="cpu")
    return Registry([SCENES], loader, 1, loras).get(SCENES.id)


def asked(**changed: Any) -> PaintRequest:
    values: dict[str, Any] = {"prompt": "two red stars on white", "width": 128, "height": 128, "seed": 5}
    return PaintRequest("text-to-image", "1", SCENES.id, format="png", **(values | changed))


def painted(model: Painter, *requests: PaintRequest, bucket: int = 1) -> list[Any]:
    outcomes = model.paint(requests, bucket, lambda: None)
    images = [outcome.image for outcome in outcomes if isinstance(outcome, Painting)]
    assert len(images) == len(outcomes)
    return images


def test_it_paints_what_the_pipeline_alone_paints(model: Painter, package: Path) -> None:
    pipe = StableDiffusionXLPipeline.from_pretrained(package / SCENES.weights.shipped, dtype=torch.float32)
    alone = pipe(
        "two red stars on white",
        num_inference_steps=SCENES.steps,
        guidance_scale=0.0,
        width=128,
        height=128,
        generator=torch.Generator("cpu").manual_seed(5),
        output_type="np",
    ).images[0]
    (made,) = painted(model, asked())
    assert made.shape == (128, 128, 3)
    assert made.std() > 5  # something to be wrong about
    assert np.abs(made / 255 - alone).max() <= 1.01 / 255


def test_the_same_seed_is_the_same_bytes_in_company_and_another_is_not(model: Painter) -> None:
    alone = painted(model, asked(), bucket=2)[0]
    first, second = painted(model, asked(), asked(prompt="a blue ring", seed=6), bucket=2)
    assert np.array_equal(first, alone)
    assert not np.array_equal(second, alone)


def test_a_prompt_beyond_its_tokens_is_read_in_windows(model: Painter) -> None:
    long = "a red star and " * 20
    assert model.shape(asked(prompt=long)).more != model.shape(asked()).more
    assert painted(model, asked(prompt=long))[0].shape == (128, 128, 3)


@pytest.mark.parametrize(
    "changed",
    [{"width": 64, "height": 64}, {"width": 120}, {"width": 136}, {"width": 512, "height": 512}, {"steps": 9}],
    ids=str,
)
def test_any_other_size_or_too_many_steps_are_refused(changed: dict[str, Any], model: Painter) -> None:
    with pytest.raises(Refusal, match=r"image-api/scenes-1 (paints|takes) at") as refused:
        model.shape(asked(**changed))
    assert refused.value.code == "invalid_request"


class Unused:
    """The weights of any row, never asked."""

    def __init__(self, spec: Any) -> None:
        self.spec = spec

    def windows(self, *_prompts: str | None) -> int:
        return 1


@pytest.mark.parametrize("name", sorted(name for name, spec in MODELS.items() if "text-to-image" in spec.tasks))
def test_every_model_refuses_less_than_its_least_side(name: str) -> None:
    spec = MODELS[name]
    painter = Painter(Unused(spec))  # type: ignore[arg-type]
    request = PaintRequest("text-to-image", "1", name, "x", spec.least, spec.least, 5, "png")
    assert painter.shape(request).width == spec.least == (128 if name == SCENES.id else 256)
    for side in ("width", "height"):
        less: dict[str, Any] = {side: spec.least - 8}
        with pytest.raises(Refusal, match=f"at least {spec.least} pixels"):
            painter.shape(replace(request, **less))

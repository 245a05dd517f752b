"""A model as the engine calls it: what may share a batch, what it refuses, and what it says beside the image."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gpu_worker.contract import PaintRequest, Refusal
from gpu_worker.engine.protocol import Painting
from gpu_worker.pipelines.model import Painter
from tests.gpu_worker.pipelines import tiny


def png(width: int = 64, height: int = 64) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(out, "PNG")
    return out.getvalue()


def asked(**changed: Any) -> PaintRequest:
    values: dict[str, Any] = {
        "task": "text-to-image",
        "id": "1",
        "model": "tiny/model",
        "prompt": "a cat",
        "width": 64,
        "height": 64,
        "seed": 5,
        "format": "png",
    }
    return PaintRequest(**(values | changed))


@pytest.fixture
def model(sampler: Any) -> Painter:
    return Painter(sampler)


def go_on() -> None:
    return None


def test_the_models_defaults_hold_where_a_request_says_nothing(model: Painter) -> None:
    shape = model.shape(asked())
    assert (shape.steps, shape.guided) == (2, False)
    assert model.shape(asked(steps=2, guidance=0.0)) == shape


def test_seed_prompt_and_format_do_not_keep_requests_apart(model: Painter) -> None:
    assert model.shape(asked(seed=9, prompt="a dog", format="webp", id="2")) == model.shape(asked())


@pytest.mark.parametrize(
    "changed",
    [
        {"guidance": 3.0},
        {"height": 128},
        {"prompt": "x" * 80},
        {"steps": 3},
        {"task": "image-to-image", "image": b"-"},
        {"width": 128},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_changes_the_computation_keeps_requests_apart(changed: dict[str, Any], model: Painter) -> None:
    assert model.shape(asked(**changed)) != model.shape(asked())


def test_adapters_keep_requests_apart_but_what_is_learned_of_the_memory_together(sampler: Any) -> None:
    shapes = [
        Painter(sampler, (("ink", weight),)).shape(asked(model=f"tiny/model+ink:{weight}")) for weight in (0.5, 0.6)
    ]
    assert shapes[0] != shapes[1]
    assert dataclasses.replace(shapes[0], only=()) == dataclasses.replace(shapes[1], only=())
    assert {shape.model for shape in shapes} == {sampler.spec.id}


def test_two_guidances_above_one_are_two_shapes(model: Painter) -> None:
    assert model.shape(asked(guidance=3.0)) != model.shape(asked(guidance=4.0))


@pytest.mark.parametrize(
    "changed", [{"steps": 9}, {"task": "background"}, {"width": 512}], ids=lambda changed: next(iter(changed))
)
def test_what_the_model_cannot_paint_is_refused(changed: dict[str, Any], model: Painter) -> None:
    with pytest.raises(Refusal) as refused:
        model.shape(asked(**changed))
    assert refused.value.code == "invalid_request"


@pytest.mark.parametrize("data", [b"", b"GIF89a", png()[:80]], ids=["empty", "gif", "truncated"])
def test_a_request_with_a_bad_image_is_refused_alone(data: bytes, model: Painter) -> None:
    good = asked(task="image-to-image", image=png())
    outcomes = model.paint([good, dataclasses.replace(good, image=data), good], 4, go_on)
    assert [type(outcome) for outcome in outcomes] == [Painting, Refusal, Painting]
    (alone,) = model.paint([good], 4, go_on)
    assert isinstance(outcomes[2], Painting) and isinstance(alone, Painting)
    assert np.array_equal(outcomes[2].image, alone.image)


def test_a_batch_of_bad_images_only_paints_nothing(model: Painter) -> None:
    bad = asked(task="image-to-image", image=b"bad")
    assert [type(outcome) for outcome in model.paint([bad, bad], 4, go_on)] == [Refusal, Refusal]


@pytest.mark.parametrize("size", [(32, 200), (64, 64), (300, 120)])
def test_an_image_of_any_size_is_fitted_to_the_one_asked_for(size: tuple[int, int], model: Painter) -> None:
    (made,) = model.paint([asked(task="image-to-image", image=png(*size), width=128)], 1, go_on)
    assert isinstance(made, Painting)
    assert made.image.shape == (64, 128, 3)


def test_a_negative_prompt_without_effect_is_said(model: Painter) -> None:
    (made,) = model.paint([asked(negative_prompt="grey")], 1, go_on)
    assert isinstance(made, Painting) and "negative_prompt" in made.warnings[0]
    (made,) = model.paint([asked(negative_prompt="grey", guidance=3.0)], 1, go_on)
    assert isinstance(made, Painting) and made.warnings == ()


def test_an_image_much_larger_than_the_model_was_trained_for_is_said(model: Painter) -> None:
    (made,) = model.paint([asked(width=128, height=128)], 1, go_on)
    assert isinstance(made, Painting) and "64x64" in made.warnings[0]


def test_a_negative_prompt_has_its_effect_where_there_is_guidance(model: Painter) -> None:
    plain, other = model.paint([asked(guidance=3.0), asked(guidance=3.0, negative_prompt="grey")], 2, go_on)
    assert isinstance(plain, Painting) and isinstance(other, Painting)
    assert not np.array_equal(plain.image, other.image)


def test_the_end_of_a_long_prompt_changes_the_image(model: Painter) -> None:
    start = "word " * 40
    cat, dog = model.paint([asked(prompt=start + "cat"), asked(prompt=start + "dog")], 2, go_on)
    assert isinstance(cat, Painting) and isinstance(dog, Painting)
    assert not np.array_equal(cat.image, dog.image)


def test_the_row_of_the_table_is_shown(model: Painter) -> None:
    shown = tiny.spec().described()
    assert shown["id"] == "tiny/model"
    assert shown["tasks"] == ["text-to-image", "image-to-image"]
    assert shown["licence"] == "MIT"

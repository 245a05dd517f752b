"""The table's models under the engine, with tiny weights in the model directory: mixed work, and the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gpu_worker.contract import PaintRequest, Refusal
from gpu_worker.engine.engine import Engine
from gpu_worker.http.metrics import Metrics
from gpu_worker.models import registry
from gpu_worker.pipelines.table import BACKGROUND, TURBO
from gpu_worker.settings import Settings
from tests.gpu_worker.background.products import draw
from tests.gpu_worker.pipelines import tiny
from tests.gpu_worker.pipelines.test_model import png

WAIT = 60


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("served")
    settings = Settings(model_dir=str(tiny.stock(folder / "model")), weights_dir=str(folder / "w"), weights_hub=0)
    made = Engine(registry.of(settings), Metrics(), settings.buckets)
    made.start([TURBO.id]).result(WAIT)
    yield made
    made.stop()
    made.join(WAIT)


def asked(number: int, **changed: Any) -> PaintRequest:
    values: dict[str, Any] = {
        "task": "text-to-image",
        "id": str(number),
        "model": TURBO.id,
        "prompt": f"number {number}",
        "width": 256,
        "height": 256,
        "seed": number,
        "format": "png",
    }
    return PaintRequest(**(values | changed))


def mixed(number: int) -> PaintRequest:
    """Every third from an image, every eighth a product, one with an unreadable image."""
    if number == 11:
        return asked(number, task="image-to-image", image=b"no image")
    if number % 8 == 7:
        photo = draw(number).file(alpha=True)
        more = {"width": 0, "height": 0, "image": photo, "steps": 1, "candidates": 1}
        return asked(number, task="background", model=BACKGROUND.id, **more)
    if number % 3 == 2:
        return asked(number, task="image-to-image", image=png())
    return asked(number)


def test_mixed_requests_all_end_right_and_each_has_the_bytes_that_it_has_alone(engine: Engine) -> None:
    company = {number: engine.put(mixed(number)) for number in range(24)}
    for number, future in company.items():
        if number == 11:
            assert isinstance(future.exception(WAIT), Refusal)
            continue
        together = future.result(WAIT).painting
        if number % 5 == 0 or number % 8 == 7:
            alone = engine.put(mixed(number)).result(WAIT).painting
            assert np.array_equal(together.image, alone.image)
            assert together.confidence == alone.confidence


def test_a_model_that_was_purged_comes_back_with_the_same_bytes(engine: Engine) -> None:
    before = engine.put(asked(1)).result(WAIT).painting
    removed, remaining = engine.purge(None).result(WAIT)
    assert TURBO.id in removed
    assert remaining == []
    assert np.array_equal(engine.put(asked(1)).result(WAIT).painting.image, before.image)


def test_a_request_without_time_is_ended_and_the_next_one_is_fine(engine: Engine) -> None:
    before = engine.put(asked(2)).result(WAIT).painting
    with pytest.raises(Refusal) as refused:
        engine.put(asked(3), seconds=0).result(WAIT)
    assert refused.value.code == "timeout"
    assert np.array_equal(engine.put(asked(2)).result(WAIT).painting.image, before.image)


def test_weights_that_are_nowhere_are_a_failure_of_that_request_alone(engine: Engine) -> None:
    with pytest.raises(Refusal) as refused:
        engine.put(asked(4, model="stabilityai/stable-diffusion-xl-base-1.0")).result(WAIT)
    assert refused.value.code == "failed"
    assert engine.put(asked(4)).result(WAIT).painting.image.shape == (256, 256, 3)

"""Workers of fake models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gpu_worker.engine.engine import Engine
from gpu_worker.http.metrics import Metrics
from gpu_worker.http.server import Worker
from tests.gpu_worker.fake_models import TURBO, WAIT, FakeModels

MakeWorker = Callable[..., Worker]


@pytest.fixture
def models() -> FakeModels:
    return FakeModels()


@pytest.fixture
def make_worker(models: FakeModels) -> Iterator[MakeWorker]:
    engines: list[Engine] = []

    def build(start: bool = True, buckets: tuple[int, ...] = (4,), **options: Any) -> Worker:
        metrics = Metrics()
        engine = Engine(models, metrics, buckets)
        if start:
            engines.append(engine)
            engine.start([TURBO]).result(WAIT)
        return Worker(engine, models, metrics, **{"queue_size": 64, "timeout_seconds": 0.0, **options})

    yield build
    for engine in engines:
        engine.give_up()
        engine.stop()
        engine.join(WAIT)
        assert not engine._thread.is_alive()

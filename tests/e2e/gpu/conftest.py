"""Fixtures: the GPU worker in its own process, with small generated weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gpu.process import WorkerProcess


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the GPU worker's models that were never trained, small enough to be made here."""
    from tests.gpu_worker.pipelines import tiny  # not at the top: torch alone takes seconds

    return tiny.stock(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def gpu_worker(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """The GPU worker's own process with those weights, which the tests share."""
    with WorkerProcess(tmp_path_factory.mktemp("worker"), tiny_weights) as worker:
        yield worker
        worker.leave()
        assert worker.wait() == 0

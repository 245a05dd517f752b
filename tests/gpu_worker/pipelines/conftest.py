"""Tiny pipelines, built once. Every test here is in one group, so that torch is imported by one process only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpu_worker.pipelines.adapters import Folder
from gpu_worker.pipelines.table import Spec, Weights


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("torch"))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Several threads of torch on shared cores wait for each other more than they compute."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the saved pipelines, as a model directory would be."""
    from tests.gpu_worker.pipelines import tiny

    folder = tmp_path_factory.mktemp("weights")
    tiny.save(folder / "tiny")
    tiny.save(folder / "tiny-scenes", inpaint=True)
    tiny.save_decoder(folder / "tiny-decoder")
    return folder


@pytest.fixture
def find(saved: Path) -> Callable[[Weights], Path]:
    return lambda weights: saved / weights.folder


@pytest.fixture
def new_sampler(find: Callable[[Weights], Path], tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Make a Sampler; `loras` is the folder of its adapters."""
    import torch

    from gpu_worker.pipelines.loading import load
    from gpu_worker.pipelines.sampler import Sampler
    from tests.gpu_worker.pipelines import tiny

    def make(spec: Spec | None = None, loras: Path | None = None) -> Sampler:
        chosen = spec or tiny.spec()
        return Sampler(chosen, load(chosen, find, torch.device("cpu")), Folder(loras or tmp_path / "loras"))

    yield make


@pytest.fixture(scope="session")
def sampler(saved: Path) -> Any:
    """One Sampler for the tests that leave it as it was."""
    import torch

    from gpu_worker.pipelines.loading import load
    from gpu_worker.pipelines.sampler import Sampler
    from tests.gpu_worker.pipelines import tiny

    spec = tiny.spec()
    return Sampler(spec, load(spec, lambda w: saved / w.folder, torch.device("cpu")), Folder(saved / "loras"))


@pytest.fixture(scope="session")
def scenes(saved: Path) -> Any:
    """One Sampler that inpaints."""
    import torch

    from gpu_worker.pipelines.loading import load
    from gpu_worker.pipelines.sampler import Sampler
    from tests.gpu_worker.pipelines import tiny

    spec = tiny.spec("tiny/scenes", scenes=True)
    return Sampler(spec, load(spec, lambda w: saved / w.folder, torch.device("cpu")), Folder(saved / "loras"))

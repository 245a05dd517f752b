"""The registry over real, tiny pipelines: memory comes back, and a folder is all that a model needs."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpu_worker.contract import PaintRequest, Refusal
from gpu_worker.engine.protocol import DeviceLost, OutOfMemory, Painting
from gpu_worker.models.loader import Loader
from gpu_worker.models.registry import Registry
from gpu_worker.models.weights import Sources
from gpu_worker.pipelines.adapters import Folder
from tests.gpu_worker.pipelines import tiny

REQUEST = PaintRequest("text-to-image", "1", "one", "a cat", 64, 64, 5, "png")


@pytest.fixture
def registry(saved: Path, tmp_path: Path) -> Registry:
    loras = Folder(tmp_path / "loras")
    loader = Loader(Sources(saved, tmp_path, hub=False), loras, device="cpu")
    specs = [tiny.spec("one"), tiny.spec("two"), tiny.spec("scenes", scenes=True)]
    return Registry(specs, loader, 1, loras)


def test_a_model_that_leaves_gives_its_memory_back_before_the_next_is_loaded(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = registry.get("one")
    model.paint([REQUEST], 1, lambda: None)
    loaded: Any = registry._here["one"]
    pipe = loaded._sampler._parts.any
    del loaded
    parts = [weakref.ref(part) for part in (pipe, pipe.unet, pipe.vae, pipe.text_encoder_2)]
    del pipe
    left: list[int] = []
    plain = registry._load
    monkeypatch.setattr(
        registry, "_load", lambda spec: left.append(sum(part() is not None for part in parts)) or plain(spec)
    )
    registry.get("two")
    assert left == [0]
    assert registry.loaded() == ["two"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemory),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), DeviceLost),
    ],
    ids=["no room", "lost"],
)
def test_what_the_device_says_to_a_load_is_told_apart(
    error: Exception, kind: type[Exception], registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that other models make room for it, or the process is started anew."""

    def load(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("gpu_worker.pipelines.loading.load", load)
    with pytest.raises(kind):
        registry.get("one")
    assert registry.loaded() == []


def test_a_purged_model_comes_back_with_the_same_pixels(registry: Registry) -> None:
    (before,) = registry.get("one").paint([REQUEST], 2, lambda: None)
    assert registry.purge("one") == (["one"], [])
    (after,) = registry.get("one").paint([REQUEST], 2, lambda: None)
    assert isinstance(before, Painting) and isinstance(after, Painting)
    assert np.array_equal(before.image, after.image)


def test_a_model_of_scenes_without_a_segmenter_asks_for_an_alpha_channel(registry: Registry) -> None:
    from tests.gpu_worker.pipelines.test_model import png

    asked = PaintRequest("background", "1", "scenes", "", 64, 64, 5, "png", image=png())
    (outcome,) = registry.get("scenes").paint([asked], 1, lambda: None)
    assert isinstance(outcome, Refusal)
    assert "alpha" in outcome.message

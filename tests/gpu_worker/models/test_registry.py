"""The models in memory: lazily, as many as there may be, the one used least recently leaving first."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from gpu_worker.contract import Refusal
from gpu_worker.models.registry import Registry, of
from gpu_worker.models.weights import Missing
from gpu_worker.pipelines.adapters import Chosen, Folder
from gpu_worker.pipelines.table import MODELS, SEGMENTERS, TURBO, Spec
from gpu_worker.settings import CHOICES, Settings

A, B, C = (dataclasses.replace(TURBO, id=name) for name in ("a", "b", "c"))


class Memory:
    """A loader that keeps count of what is in memory."""

    def __init__(self) -> None:
        self.now: list[str] = []
        self.most = 0
        self.loads: list[str] = []
        self.missing: set[str] = set()

    def __call__(self, spec: Spec) -> Any:
        if spec.id in self.missing:
            raise Missing("nowhere")
        self.loads.append(spec.id)
        self.now.append(spec.id)
        self.most = max(self.most, len(self.now))
        return InMemory(self, spec.id)


class InMemory:
    def __init__(self, memory: Memory, name: str) -> None:
        self.memory, self.name = memory, name

    def model(self, adapters: Chosen) -> Any:
        return self.name, adapters

    def close(self) -> None:
        self.memory.now.remove(self.name)


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def registry(memory: Memory, tmp_path: Path) -> Registry:
    (tmp_path / "ink.safetensors").touch()
    return Registry([A, B, C], memory, 2, Folder(tmp_path))


def test_nothing_is_loaded_before_it_is_asked_for(registry: Registry, memory: Memory) -> None:
    assert [model["id"] for model in registry.known()] == ["a", "b", "c"]
    assert registry.loaded() == memory.loads == []


def test_a_model_is_loaded_once(registry: Registry, memory: Memory) -> None:
    assert registry.get("a") == registry.get("a")
    assert memory.loads == ["a"]


def test_the_model_used_least_recently_leaves_before_another_comes(registry: Registry, memory: Memory) -> None:
    for name in ("a", "b", "a", "c"):
        registry.get(name)
    assert registry.loaded() == memory.now == ["a", "c"]
    assert memory.most == 2


def test_purging_one_or_all(registry: Registry, memory: Memory) -> None:
    registry.get("a")
    registry.get("b")
    assert registry.purge("c") == ([], ["a", "b"])
    assert registry.purge("a+ink:0.5") == (["a"], ["b"]), "adapters go with their model"
    assert registry.purge(None) == (["b"], [])
    assert memory.now == []
    registry.get("a")
    assert memory.loads == ["a", "b", "a"]


@pytest.mark.parametrize(
    "asked", ["", "A", "a+unknown", "d", "d+ink", "+ink", "a+../ink", "a+/etc/ink", "a+ink:9", "a+ink.safetensors"]
)
def test_an_unknown_model_or_adapter_is_refused_and_nothing_leaves(
    asked: str, registry: Registry, memory: Memory
) -> None:
    registry.get("a")
    registry.get("b")
    with pytest.raises(Refusal) as refused:
        registry.get(asked)
    assert (refused.value.code, refused.value.status) == ("unknown_model", 400)
    assert memory.now == ["a", "b"]


def test_adapters_share_the_model_in_memory(registry: Registry, memory: Memory) -> None:
    registry.get("a")
    made: object = registry.get("a+ink:0.5")
    assert made == ("a", (("ink", 0.5),))
    assert memory.loads == ["a"]
    assert registry.known()[0]["adapters"] == ["ink"]


def test_a_model_without_weights_fails_and_the_others_go_on(registry: Registry, memory: Memory) -> None:
    memory.missing = {"b"}
    with pytest.raises(Refusal) as refused:
        registry.get("b")
    assert refused.value.code == "failed"
    made: object = registry.get("a")
    assert made == ("a", ())


def test_only_the_allowed_models_of_the_table_are_known() -> None:
    assert [model["id"] for model in of(Settings()).known()] == list(MODELS)
    assert [model["id"] for model in of(Settings(allowed_models=(TURBO.id,))).known()] == [TURBO.id]


def test_every_row_of_the_table_is_pinned_and_has_a_licence() -> None:
    for spec in MODELS.values():
        for weights in (spec.weights, spec.vae, spec.tiny) if not spec.weights.shipped else ():
            assert weights is not None
            assert len(weights.revision) == 40
            assert weights.folder.endswith(weights.revision[:8])
        assert spec.licence
        assert 64 <= spec.least <= spec.native
        assert spec.steps <= spec.most_steps
    for segmenter in SEGMENTERS.values():
        assert len(segmenter.weights.sha256) == 64
        assert segmenter.licence in ("Apache-2.0", "MIT")
    folders = [spec.weights.folder for spec in MODELS.values()]
    assert len(set(folders)) == len(folders)


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_a_choice_that_is_none_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(ValueError, match=name.upper()):
        Settings.of({name.upper(): "other"})


def test_every_segmenter_of_the_table_can_be_chosen() -> None:
    assert CHOICES["segmenter"] == tuple(sorted(SEGMENTERS))

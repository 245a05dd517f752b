"""Models of numpy alone, which do what a prompt tells them to and note what they were asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np

from gpu_worker.contract import PaintRequest, Refusal
from gpu_worker.engine.protocol import DeviceLost, OutOfMemory, Painting, Shape, base_of

TURBO = "stabilityai/sdxl-turbo"
WAIT = 20  # seconds, for what must happen


def request(id: str = "a", prompt: str = "a cat", **changes: Any) -> PaintRequest:
    given = {"task": "text-to-image", "model": TURBO, "width": 256, "height": 256, "seed": 7, "format": "png"}
    return PaintRequest(**{**given, "id": id, "prompt": prompt, **changes})


def pixels(asked: PaintRequest, bucket: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pixels that depend on the seed and on the size of the batch, as a GPU's do."""
    rng = np.random.default_rng([asked.seed, bucket])
    return np.tile(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (asked.height // 8, asked.width // 8, 1))


@dataclass
class FakeModel:
    """Prompts: `break` and `lost` break the whole batch, `refused` itself alone, `shapeless` has no shape."""

    owner: FakeModels
    id: str

    def shape(self, asked: PaintRequest) -> Shape:
        if asked.prompt == "shapeless":
            raise Refusal("invalid_request", "steps must be 1")
        self.owner.shapes.append(asked.id)
        bucket = self.owner.buckets.get((asked.width, asked.height), 0)
        base, only = base_of(asked.model), (asked.model,)
        return Shape(asked.task, base, asked.width, asked.height, asked.steps or 1, False, bucket, only=only)

    def paint(
        self, requests: Sequence[PaintRequest], bucket: int, check: Callable[[], None]
    ) -> list[Painting | Refusal]:
        with self.owner.alone():
            assert len({self.shape(asked) for asked in requests}) == 1
            assert 1 <= len(requests) <= bucket
            self.owner.batches.append(([asked.id for asked in requests], bucket))
            self.owner.painting.set()
            for step in range(self.owner.steps):
                self.owner.at_step(step)
                check()
            prompts = [asked.prompt for asked in requests]
            if bucket > self.owner.room - len(self.owner.loaded()):
                raise OutOfMemory
            if "lost" in prompts:
                raise DeviceLost("CUDA error: an illegal memory access was encountered")
            if "break" in prompts:
                raise RuntimeError(f"cannot paint {prompts}")
            return [
                Refusal("content_policy", "refused") if asked.prompt == "refused" else self._painted(asked, bucket)
                for asked in requests
            ]

    def _painted(self, asked: PaintRequest, bucket: int) -> Painting:
        image = pixels(asked, bucket)
        if asked.task != "background":
            return Painting(image)
        mask = np.full(image.shape[:2], 255, np.uint8)
        parts = {"mask_certainty": None, "area": 0.5}
        return Painting(image, asked.seed + 1, ("a warning",), mask, 0.75, parts, at=(3, -2))

    def close(self) -> None:
        pass


@dataclass
class FakeModels:
    """`room` less the models in memory is the largest batch; `models_room` is how many models there may be."""

    room: int = 1000
    models_room: int = 1000
    steps: int = 1
    buckets: dict[tuple[int, int], int] = field(default_factory=dict)
    ids: tuple[str, ...] = (TURBO, "other", "third")
    broken: frozenset[str] = frozenset()
    at_step: Callable[[int], object] = lambda step: None
    batches: list[tuple[list[str], int]] = field(default_factory=list)
    painting: Event = field(default_factory=Event)
    threads: set[int] = field(default_factory=set)
    gets: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    _loaded: list[str] = field(default_factory=list)
    _alone: threading.Lock = field(default_factory=threading.Lock)

    def alone(self) -> Alone:
        return Alone(self)

    def get(self, model_id: str) -> FakeModel:
        with self.alone():
            self.gets.append(model_id)
            base = base_of(model_id)
            if base not in self.ids or model_id.endswith("+nobody"):
                raise Refusal("unknown_model", "unknown model")
            if base in self.broken:
                raise RuntimeError("no such file")
            if base not in self._loaded and len(self._loaded) >= self.models_room:
                raise OutOfMemory
            self._loaded = [*(loaded for loaded in self._loaded if loaded != base), base]
            return FakeModel(self, model_id)

    def purge(self, model_id: str | None) -> tuple[list[str], list[str]]:
        with self.alone():
            removed = [loaded for loaded in self._loaded if model_id is None or base_of(model_id) == loaded]
            self._loaded = [loaded for loaded in self._loaded if loaded not in removed]
            return removed, self._loaded

    def known(self) -> list[dict[str, Any]]:
        return [{"id": model_id} for model_id in self.ids]

    def loaded(self) -> list[str]:
        return list(self._loaded)


class Alone:
    """Fails where two threads are in the models at once, and notes the thread."""

    def __init__(self, models: FakeModels) -> None:
        self._models = models

    def __enter__(self) -> None:
        assert self._models._alone.acquire(blocking=False), "two threads at once"
        self._models.threads.add(threading.get_ident())

    def __exit__(self, *_: object) -> None:
        self._models._alone.release()


class Gate:
    """Holds the first batch at its first step until it is opened, so that what waits behind it is known."""

    def __init__(self, models: FakeModels) -> None:
        self._models = models
        self._open = Event()
        models.at_step = lambda step: self.wait()

    def wait(self) -> None:
        assert self._open.wait(WAIT)

    def reached(self) -> None:
        assert self._models.painting.wait(WAIT)

    def open(self) -> None:
        self._open.set()

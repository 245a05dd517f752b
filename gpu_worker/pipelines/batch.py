"""Defines a batch and the protocol of its sampler. Imports no torch, so that its users need none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpu_worker.contract import Refusal
from gpu_worker.pipelines.adapters import Chosen
from gpu_worker.pipelines.table import Spec


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a batch. `mask` is 255 where the model paints."""

    prompt: str = field(repr=False)
    negative: str | None = field(repr=False)
    seed: int
    image: Image.Image | None = None
    mask: Image.Image | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """The properties shared by a batch. Every prompt is encoded in `windows` windows."""

    task: str
    width: int
    height: int
    steps: int
    guidance: float
    windows: int
    adapters: Chosen = ()


class Batches(Protocol):
    """A model's weights in memory, ready to paint."""

    @property
    def spec(self) -> Spec:
        """The model's row of the table."""
        ...

    def windows(self, *prompts: str | None) -> int:
        """Return the number of windows of the longest prompt. Raises Refusal."""
        ...

    def paint(
        self, run: Run, items: Sequence[Item], bucket: int, check: Callable[[], None]
    ) -> list[NDArray[np.uint8] | Refusal]:
        """Return one image, height x width x 3, for each item, painting at most `bucket` at once.

        Exceptions of `check` end the work and propagate. Raises OutOfMemory and DeviceLost, and Refusal if the model
        has been unloaded or an adapter is invalid.
        """
        ...

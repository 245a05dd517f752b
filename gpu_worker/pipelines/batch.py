"""What a batch is made of, and who paints it; free of torch, so that what stands on it can be used without."""

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
    """One image of a batch. `mask` is 255 where to paint."""

    prompt: str = field(repr=False)
    negative: str | None = field(repr=False)
    seed: int
    image: Image.Image | None = None
    mask: Image.Image | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What a batch has in common. `windows` is how many every prompt is encoded in."""

    task: str
    width: int
    height: int
    steps: int
    guidance: float
    windows: int
    adapters: Chosen = ()


class Batches(Protocol):
    """A model's weights, ready to paint."""

    @property
    def spec(self) -> Spec:
        """Its row of the table."""
        ...

    def windows(self, *prompts: str | None) -> int:
        """How many windows the longest of the prompts needs. Raises Refusal as `paint` does."""
        ...

    def paint(
        self, run: Run, items: Sequence[Item], bucket: int, check: Callable[[], None]
    ) -> list[NDArray[np.uint8] | Refusal]:
        """One image, height x width x 3, for each item, at most `bucket` at once. What `check` raises ends the work.

        Raises OutOfMemory and DeviceLost, and Refusal where the model was taken out of memory or an adapter is none.
        """
        ...

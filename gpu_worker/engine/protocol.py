"""Defines the protocol between the engine, which schedules the work, and the models, which generate the images."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from gpu_worker.contract import PaintRequest, Refusal


def base_of(model_id: str) -> str:
    """Return the model's id without adapters; models are loaded, purged and counted by this id."""
    return model_id.partition("+")[0]


class OutOfMemory(Exception):
    """The device has too little memory for this many images of this shape. The attempt's memory is freed."""


class DeviceLost(Exception):
    """This process cannot use the device any more and must be restarted."""


_NO_ROOM: Final = re.compile(
    r"out of memory|can't allocate memory|not enough memory|Failed to allocate memory|smaller than requested bytes"
    r"|STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)
_LOST: Final = re.compile(
    r"CUDA (error|failure)|device-side assert|unspecified launch failure|ECC error", re.IGNORECASE
)


def fault(said: str) -> type[OutOfMemory | DeviceLost] | None:
    """Classify an error message of torch or ONNX Runtime; `None` if it is not about the device."""
    return OutOfMemory if _NO_ROOM.search(said) else DeviceLost if _LOST.search(said) else None


@dataclass(frozen=True, slots=True)
class Shape:
    """The properties that requests must share to be batched together.

    `bucket` is a fixed batch size for this shape; 0 leaves the choice to the engine. Pixels depend on the size of a
    batch, but not on its other images.
    """

    task: str
    model: str  # without adapters
    width: int
    height: int
    steps: int
    guided: bool
    bucket: int = 0
    more: tuple[Any, ...] = ()  # further shared properties that affect memory or time; hashable
    only: tuple[Any, ...] = ()  # further shared properties that affect neither, ignored by measurements; hashable


@dataclass(frozen=True, slots=True)
class Painting:
    """A generated image: uint8, height x width x 3 or 4. Fields without a meaning for the model keep their defaults."""

    image: NDArray[np.uint8] = field(repr=False)
    seed: int | None = None  # if it differs from the request's
    warnings: tuple[str, ...] = ()
    mask: NDArray[np.uint8] | None = field(default=None, repr=False)  # height x width, 255 on the product
    confidence: float | None = None
    components: Mapping[str, float | None] | None = None
    at: tuple[int, int] | None = None  # x and y of the upload's top-left corner in the image, if its pixels are kept


class Model(Protocol):
    """One loaded model. Only the engine's thread calls it."""

    def shape(self, request: PaintRequest) -> Shape:
        """Return the request's batch shape; quick. Raises Refusal for a request that the model cannot paint."""
        ...

    def paint(
        self, requests: Sequence[PaintRequest], bucket: int, check: Callable[[], None]
    ) -> Sequence[Painting | Refusal]:
        """Return one outcome for each request, in order. The requests have one shape and are at most `bucket`.

        The batch is padded to `bucket` images. `check` is called between steps; its exceptions end the work and
        propagate. Raises OutOfMemory and DeviceLost; after any other exception the engine tries each request by itself.
        """
        ...


class Models(Protocol):
    """The models of the table, and those in memory.

    Only the engine's thread calls `get` and `purge`; any thread may call `known` and `loaded`, which never block.
    """

    def get(self, model_id: str) -> Model:
        """Return the model, loaded if needed in place of the least recently used one. Raises Refusal `unknown_model`.

        `id+adapter:0.8` is the model `id` with an adapter.
        """
        ...

    def purge(self, model_id: str | None) -> tuple[list[str], list[str]]:
        """Unload one model, or all for None. Returns the ids removed and the ids that stay loaded.

        `id+adapter` means the model `id`, since its adapters are in memory with it.
        """
        ...

    def known(self) -> list[dict[str, Any]]:
        """Return the table of models as `GET /models` shows it; each has an `id`."""
        ...

    def loaded(self) -> list[str]:
        """Return the ids of the models in memory, as in `known`, least recently used first."""
        ...

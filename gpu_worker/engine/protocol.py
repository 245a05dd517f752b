"""The seam between the engine, which orders the work, and the models, which paint it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from gpu_worker.contract import PaintRequest, Refusal


def base_of(model_id: str) -> str:
    """The model's id without the adapters that it is asked for with: what is loaded, purged and counted."""
    return model_id.partition("+")[0]


class OutOfMemory(Exception):
    """The device has no room for this many images of this shape; what was taken for the attempt is given back."""


class DeviceLost(Exception):
    """The device cannot be used any more by this process, which must be started anew."""


_NO_ROOM: Final = re.compile(
    r"out of memory|can't allocate memory|not enough memory|Failed to allocate memory|smaller than requested bytes"
    r"|STATUS_ALLOC_FAILED",
    re.IGNORECASE,
)
_LOST: Final = re.compile(
    r"CUDA (error|failure)|device-side assert|unspecified launch failure|ECC error", re.IGNORECASE
)


def fault(said: str) -> type[OutOfMemory | DeviceLost] | None:
    """What the words of an error of torch or ONNX Runtime tell of the device; `None` where they tell nothing."""
    return OutOfMemory if _NO_ROOM.search(said) else DeviceLost if _LOST.search(said) else None


@dataclass(frozen=True, slots=True)
class Shape:
    """What requests must have in common to share a batch.

    `bucket` is the one size in which this shape is always painted, whatever waits; 0 leaves it to the engine's sizes.
    Pixels depend on the size of a batch, though not on what else is in it.
    """

    task: str
    model: str  # without its adapters
    width: int
    height: int
    steps: int
    guided: bool
    bucket: int = 0
    more: tuple[Any, ...] = ()  # what else the model needs to be equal, where it changes the memory or time; hashable
    only: tuple[Any, ...] = ()  # and where it does not, so that nothing is learned of its values; hashable


@dataclass(frozen=True, slots=True)
class Painting:
    """An image as the model made it: uint8, height x width x 3 or 4. The rest is left out where it has no meaning."""

    image: NDArray[np.uint8] = field(repr=False)
    seed: int | None = None  # the seed of this image, where it is not the request's own
    warnings: tuple[str, ...] = ()
    mask: NDArray[np.uint8] | None = field(default=None, repr=False)  # height x width, 255 where the product is
    confidence: float | None = None
    components: Mapping[str, float | None] | None = None
    at: tuple[int, int] | None = None  # x and y of the upload's top-left corner on the image, where its pixels are kept


class Model(Protocol):
    """One loaded model. It is only ever called by the engine's one thread."""

    def shape(self, request: PaintRequest) -> Shape:
        """What the request may share a batch with. Quick. Raises Refusal for what the model cannot paint."""
        ...

    def paint(
        self, requests: Sequence[PaintRequest], bucket: int, check: Callable[[], None]
    ) -> Sequence[Painting | Refusal]:
        """One outcome for each request, in their order; all are of one shape, and at most `bucket`.

        The batch is padded to `bucket` images. `check` is called between steps; what it raises ends the work and is
        handed on. Raises OutOfMemory and DeviceLost; any other exception makes the engine try each request by itself.
        """
        ...


class Models(Protocol):
    """The models of the table and those of them that are in memory.

    `get` and `purge` are only ever called by the engine's one thread; `known` and `loaded` by any, and never wait.
    """

    def get(self, model_id: str) -> Model:
        """The model, loaded if need be, in place of the one used least recently. Raises Refusal `unknown_model`.

        `id+adapter:0.8` is the model of that id with an adapter.
        """
        ...

    def purge(self, model_id: str | None) -> tuple[list[str], list[str]]:
        """Give the memory of one model, or of all, back: the ids of those removed, and of those that stay loaded.

        `id+adapter` is the model of that id, since its adapters are in memory with it.
        """
        ...

    def known(self) -> list[dict[str, Any]]:
        """The table of models, as `GET /models` shows it; each has an `id`."""
        ...

    def loaded(self) -> list[str]:
        """The ids of the models in memory, as in `known`; the one used least recently first."""
        ...

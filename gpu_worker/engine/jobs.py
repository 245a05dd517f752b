"""Defines a queued request, and settles its future."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any, Final

from gpu_worker.contract import PaintRequest, Refusal
from gpu_worker.engine.protocol import Painting, Shape

TOO_LATE: Final = "the image was not painted in its time"


@dataclass(frozen=True, slots=True)
class Done:
    """A painting, its seconds in the queue and on the GPU, and those of its model's last load, where it is known."""

    painting: Painting
    queue: float
    paint: float
    load: float | None = None


@dataclass(eq=False, slots=True)
class Job:
    """A queued request. Times are of the engine's clock. Cancelling the future withdraws the request."""

    request: PaintRequest
    arrived: float
    deadline: float
    shape: Shape | None = None  # set at the first use, since it takes a while for a long prompt
    future: Future[Done] = field(default_factory=Future)

    def wanted(self, now: float) -> bool:
        """Return whether a client still waits. Past its deadline the job is refused."""
        if now >= self.deadline:
            self.refuse(Refusal("timeout", TOO_LATE))
        return not self.future.done()

    def refuse(self, refusal: Refusal) -> None:
        """End the job without an image."""
        settle(self.future, error=refusal)


def settle(future: Future[Any], value: object = None, error: BaseException | None = None) -> None:
    """Set the future's outcome, unless it is cancelled or already settled."""
    with contextlib.suppress(InvalidStateError):
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

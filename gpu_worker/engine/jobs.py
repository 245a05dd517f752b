"""A request on its way through the engine, and how it gets its outcome."""

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
    """A painting and its times in seconds."""

    painting: Painting
    queue: float
    paint: float


@dataclass(eq=False, slots=True)
class Job:
    """Times are the engine's clock. Whoever no longer wants the image cancels the future."""

    request: PaintRequest
    arrived: float
    deadline: float
    shape: Shape | None = None  # once its model has told it, which takes a while for a long prompt
    future: Future[Done] = field(default_factory=Future)

    def wanted(self, now: float) -> bool:
        """Whether somebody still waits for it; its time is over at the deadline."""
        if now >= self.deadline:
            self.refuse(Refusal("timeout", TOO_LATE))
        return not self.future.done()

    def refuse(self, refusal: Refusal) -> None:
        """End it without an image."""
        settle(self.future, error=refusal)


def settle(future: Future[Any], value: object = None, error: BaseException | None = None) -> None:
    """Give the future its outcome; one that has been cancelled, or has an outcome, stays as it is."""
    with contextlib.suppress(InvalidStateError):
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

"""An event loop that does not wait: an idle loop moves the time to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):  # which one depends on the system
    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing that it waits for can come"
        self.skipped += timeout
        events: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        return events


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skips = _Selector()
        super().__init__(self._skips)

    def time(self) -> float:
        return self._skips.skipped


def run(work: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run, in a time that begins at 0."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)

"""Renew a lease from a thread while the work that it protects goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from threading import Event, Thread

Beat = Callable[[], bool]
Heartbeat = Callable[[Beat, float], AbstractContextManager[None]]


@contextmanager
def heartbeat(beat: Beat, seconds: float) -> Iterator[None]:
    """Call `beat` every `seconds`, from a thread, until it returns False or the block ends.

    After a beat that raises, the next is tried: the lease outlives several beats.
    """
    over = Event()

    def beats() -> None:
        goes_on = True
        while goes_on and not over.wait(seconds):
            with suppress(Exception):
                goes_on = beat()

    thread = Thread(target=beats, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(seconds)

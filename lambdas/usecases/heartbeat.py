"""Do a small thing again and again while a longer one goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from threading import Event, Thread

Beat = Callable[[], bool]
Heartbeat = Callable[[Beat, float], AbstractContextManager[None]]


@contextmanager
def heartbeat(beat: Beat, seconds: float) -> Iterator[None]:
    """Call `beat` every `seconds`, from a thread, until it returns False or the block ends.

    A beat that raises is not the last one: the next may get through, and comes before it is too late.
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

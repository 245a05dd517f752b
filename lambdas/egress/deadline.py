"""Sets a total deadline on a call whose library only limits each single wait for bytes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return or raise the outcome of `call`; raises TimeoutError after `seconds`.

    The call runs in a thread of its own. A late call cannot be stopped: it is abandoned and its outcome ignored.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001  handed on to the caller's thread
            outcome.set_exception(error)

    Thread(target=run, name="provider-call", daemon=True).start()
    return outcome.result(seconds)

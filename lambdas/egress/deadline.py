"""A total deadline for a call whose library only limits each single wait for more bytes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """What `call` returns or raises; TimeoutError once `seconds` have passed.

    The call runs in a thread of its own. A late one cannot be stopped: it is left behind and its end ignored.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(call())
        except BaseException as error:  # noqa: BLE001  handed on to the caller's thread
            outcome.set_exception(error)

    Thread(target=run, name="provider-call", daemon=True).start()
    return outcome.result(seconds)

"""Counts the operations of code, which unlike time do not depend on the machine."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType
from typing import Any

import pytest


def lines(work: Callable[..., object], *given: object) -> int:
    """How many lines of Python the call runs in this thread; loops of C, such as those of Pillow, count as one."""
    count = 0

    def trace(_frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work(*given)
    finally:
        sys.settrace(before)
    return count


def waits_of_this_thread(patch: pytest.MonkeyPatch) -> list[float]:
    """From now on, how long each wait of this thread may last at the most: for a socket, or another thread's result."""
    waits: list[float] = []
    me, wait, result = threading.get_ident(), socket.socket.settimeout, Future.result

    def noted(seconds: float | None) -> None:
        if seconds is not None and threading.get_ident() == me:
            waits.append(seconds)

    def settimeout(self: socket.socket, seconds: float | None) -> None:
        noted(seconds)
        wait(self, seconds)

    def result_within(self: Future[Any], timeout: float | None = None) -> Any:
        noted(timeout)
        return result(self, timeout)

    patch.setattr(socket.socket, "settimeout", settimeout)
    patch.setattr(Future, "result", result_within)
    return waits

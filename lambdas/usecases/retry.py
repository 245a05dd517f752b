"""Retry a write while its store is unavailable, where giving up would lose a paid image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from lambdas.domain.errors import Unavailable
from lambdas.domain.ports.runtime import Clock

WAITS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)  # seconds, on top of what the store's own client waits

T = TypeVar("T")


def retry_while_unavailable(act: Callable[[], T], clock: Clock) -> T:
    """Raises Unavailable if the last try fails too."""
    for wait in WAITS:
        try:
            return act()
        except Unavailable:
            clock.sleep(wait)
    return act()

"""Limits a tenant's requests per minute with a token bucket, stored as one timestamp.

This is the generic cell rate algorithm (GCRA) in its virtual-scheduling form, of ITU-T recommendation I.371, annex A.
Each tenant has a theoretical arrival time, `tat`: the time at which its bucket is full again. A request of cost k moves
it on by k intervals, from now at the earliest, and is admitted if it is then at most one window ahead. That equals a
bucket of `limit` tokens that is refilled at `limit` a minute, but it is one number, needs no refilling, and `tat` never
decreases. Times are whole microseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SECOND: Final = 1_000_000
WINDOW: Final = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a request. `reset`: seconds until the whole limit is available again."""

    limit: int
    remaining: int
    reset: int
    retry_after: int | None = None  # seconds; `None`: the request was admitted


def interval(limit: int) -> int:
    """Return the part of the window that one request takes, in microseconds."""
    return max(1, WINDOW // limit)


def admitted(limit: int, tat: int, now: int) -> Verdict:
    """Return the verdict on an admitted request, which has moved the arrival time to `tat`."""
    ahead = max(0, tat - now)
    return Verdict(limit, max(0, WINDOW - ahead) // interval(limit), math.ceil(ahead / SECOND))


def refused(limit: int, tat: int, now: int, cost: int) -> Verdict:
    """Return the verdict on a request refused because of `tat`, or because it costs more than the whole limit."""
    ahead = max(0, tat - now)
    wait = ahead + cost * interval(limit) - WINDOW if cost <= limit else WINDOW
    left = max(0, WINDOW - ahead) // interval(limit)
    return Verdict(limit, left, math.ceil(ahead / SECOND), max(1, math.ceil(wait / SECOND)))

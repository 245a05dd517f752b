"""How many requests a minute a tenant may make: a token bucket, kept as one timestamp.

This is the generic cell rate algorithm (GCRA) in its virtual-scheduling form, of ITU-T recommendation I.371, annex A.
Each tenant has a theoretical arrival time, `tat`: the moment at which its bucket will be full again. A request of cost
k moves it k intervals on, from now at the earliest, and is admitted if it then lies one window ahead at the most. That
is exactly a bucket of `limit` tokens which is filled at `limit` a minute, but it is one number, nothing has to refill
it, and `tat` never goes back. Times are whole microseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SECOND: Final = 1_000_000
WINDOW: Final = 60 * SECOND


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request was told. `reset`: seconds until the whole limit is free again."""

    limit: int
    remaining: int
    reset: int
    retry_after: int | None = None  # seconds; `None`: the request was admitted


def interval(limit: int) -> int:
    """The time that one request takes of the window."""
    return max(1, WINDOW // limit)


def admitted(limit: int, tat: int, now: int) -> Verdict:
    """A request was admitted and has moved the arrival time to `tat`."""
    ahead = max(0, tat - now)
    return Verdict(limit, max(0, WINDOW - ahead) // interval(limit), math.ceil(ahead / SECOND))


def refused(limit: int, tat: int, now: int, cost: int) -> Verdict:
    """A request was refused because of `tat`, or because it costs more than the whole limit."""
    ahead = max(0, tat - now)
    wait = ahead + cost * interval(limit) - WINDOW if cost <= limit else WINDOW
    left = max(0, WINDOW - ahead) // interval(limit)
    return Verdict(limit, left, math.ceil(ahead / SECOND), max(1, math.ceil(wait / SECOND)))

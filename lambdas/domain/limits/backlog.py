"""How long a job would wait in the queue, and from where on one is better refused than made to wait."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from lambdas.domain.routing.health import Health, faded

JOB_SECONDS: Final = 10.0  # what a job takes, until this deployment has seen its own
# The least part of all workers that a tenant gets while others have work too: the queue serves the quiet ones first.
FAIR_PART: Final = 0.5
MAX_COUNTED: Final = 4000  # of one tenant's queued jobs: what one page of the index holds
MIN_RETRY: Final = 5  # seconds


def deadline(*limits: float) -> float:
    """The shortest of the limits that are set, in seconds; 0 where none is."""
    return min((limit for limit in limits if limit > 0), default=0.0)


def mean_seconds(healths: Mapping[str, Health], now: float) -> float:
    """What an image has lately taken, each provider by the weight of its traffic."""
    seen = [(faded(health, now).successes, [s for _, s, _ in health.latencies]) for health in healths.values()]
    weighed = [(weight, sum(seconds) / len(seconds)) for weight, seconds in seen if seconds and weight > 0]
    weights = sum(weight for weight, _ in weighed)
    return sum(weight * mean for weight, mean in weighed) / weights if weights else JOB_SECONDS


def wait_of_all(messages: int, mean: float, workers: int, second_after: float) -> float:
    """Seconds until so many waiting messages are handled.

    A job that has waited for `second_after` seconds has a second message there, its watchdog's, which costs no time.
    """
    seconds = messages * mean / workers
    return seconds if seconds <= second_after else (seconds + second_after) / 2


def wait_of_own(jobs: int, mean: float, workers: int) -> float:
    """Seconds until a tenant's own queued jobs are done, at the least pace that it gets."""
    return jobs * mean / (workers * FAIR_PART)


def most_own(limit: float, mean: float, workers: int) -> int:
    """How many queued jobs a tenant may have whose next one is to begin within `limit` seconds."""
    return min(int(limit * workers * FAIR_PART / mean), MAX_COUNTED - 1)


def retry_after(wait: float, limit: float) -> int:
    """Whole seconds after which what waits has shrunk so far that the limit can be kept."""
    return max(MIN_RETRY, math.ceil(wait - limit))

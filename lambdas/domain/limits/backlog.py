"""Estimates a job's wait in the queue, and from which wait on a job is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from lambdas.domain.routing.health import Health, faded

JOB_SECONDS: Final = 10.0  # duration of a job, until this deployment has measured its own
# The minimum share of all workers for a tenant while others have work too: the queue serves quiet tenants first.
FAIR_PART: Final = 0.5
MAX_COUNTED: Final = 4000  # queued jobs of one tenant: one page of the index
MIN_RETRY: Final = 5  # seconds


def deadline(*limits: float) -> float:
    """Return the shortest of the limits that are set, in seconds; 0 if none is."""
    return min((limit for limit in limits if limit > 0), default=0.0)


def mean_seconds(healths: Mapping[str, Health], now: float) -> float:
    """Return the recent mean seconds of an image, with providers weighted by their traffic."""
    seen = [(faded(health, now).successes, [s for _, s, _ in health.latencies]) for health in healths.values()]
    weighed = [(weight, sum(seconds) / len(seconds)) for weight, seconds in seen if seconds and weight > 0]
    weights = sum(weight for weight, _ in weighed)
    return sum(weight * mean for weight, mean in weighed) / weights if weights else JOB_SECONDS


def wait_of_all(messages: int, mean: float, workers: int, second_after: float) -> float:
    """Return the seconds until that many waiting messages are handled.

    A job that has waited for `second_after` seconds has a second message, its watchdog's, which takes no time.
    """
    seconds = messages * mean / workers
    return seconds if seconds <= second_after else (seconds + second_after) / 2


def wait_of_own(jobs: int, mean: float, workers: int) -> float:
    """Return the seconds until a tenant's own queued jobs are done, at its minimum pace."""
    return jobs * mean / (workers * FAIR_PART)


def most_own(limit: float, mean: float, workers: int) -> int:
    """Return how many queued jobs a tenant may have for its next one to begin within `limit` seconds."""
    return min(int(limit * workers * FAIR_PART / mean), MAX_COUNTED - 1)


def retry_after(wait: float, limit: float) -> int:
    """Return the whole seconds after which the wait has shrunk enough to keep the limit."""
    return max(MIN_RETRY, math.ceil(wait - limit))

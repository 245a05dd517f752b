"""Defines webhook events, which notify a client's server of a job's end, and their retry schedule."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import Final, Literal

from lambdas.domain.jobs.job import CANCELLED, COMPLETED, FAILED, Job, JobStatus

State = Literal["pending", "delivered", "exhausted", "disabled"]
PENDING: Final = "pending"
DELIVERED: Final = "delivered"
EXHAUSTED: Final = "exhausted"
DISABLED: Final = "disabled"

EventType = Literal["generation.completed", "generation.failed", "generation.cancelled"]
TYPES: Final[dict[JobStatus, EventType]] = {
    COMPLETED: "generation.completed",
    FAILED: "generation.failed",
    CANCELLED: "generation.cancelled",
}

# Seconds from one failed attempt to the next: 75 h 42 min in total, without the jitter, which only adds.
SCHEDULE: Final = (5, 30, 120, 600, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
MAX_ATTEMPTS: Final = len(SCHEDULE) + 1
JITTER: Final = 0.2
MAX_RETRY_AFTER: Final = 86_400.0  # seconds
MAX_DELAY: Final = 900  # seconds, SQS's maximum
LEASE_SECONDS: Final = 60  # longer than the timeout of the function that holds it
POST_SECONDS: Final = 15.0  # for one attempt, in total
MAX_BYTES: Final = 20_000  # of a body, not reached
KEPT_SECONDS: Final = 14 * 86_400  # minimum; an event may outlive its job's record
DISABLED_SECONDS: Final = 30 * 86_400  # of a URL that answered 410


@dataclass(frozen=True, slots=True)
class Event:
    """The event of one job's end, for one URL. Times are Unix seconds.

    `due`: the earliest time of the next attempt; a message with an earlier one is superseded. `lease_until`: an attempt
    is in progress, and no other one begins before.
    """

    tenant: str
    job_id: str
    type: EventType
    url: str
    due: int
    created_at: float
    finished_at: float
    expires_at: int
    state: State = PENDING
    attempts: int = 0
    lease_until: int = 0
    last_error: str = ""
    last_status: int | None = None  # of the last response, if any

    @property
    def id(self) -> str:
        """The `webhook-id`: the same for every attempt, so that a receiver can recognise duplicates."""
        return f"msg_{self.job_id}"

    def claimed(self, now: float) -> Event:
        return replace(self, attempts=self.attempts + 1, lease_until=int(now) + LEASE_SECONDS)

    def ended(self, state: State, error: str = "", status: int | None = None) -> Event:
        return replace(self, state=state, lease_until=0, last_error=error, last_status=status)

    def failed(self, due: int, error: str, status: int | None) -> Event:
        """Return the event after a failed attempt; the next one is `due`."""
        return replace(self, due=due, lease_until=0, last_error=error, last_status=status)

    def again(self, now: float) -> Event:
        """Return the event with all its attempts left, for a replay."""
        return replace(self, state=PENDING, attempts=0, due=int(now), lease_until=0)


def event_of(job: Job) -> Event | None:
    """Return the event of a job; `None` if the job has not ended or has no webhook."""
    kind = TYPES.get(job.status)
    if not job.request.webhook_url or kind is None or job.finished_at is None:
        return None
    return Event(
        tenant=job.tenant,
        job_id=job.id,
        type=kind,
        url=job.request.webhook_url,
        due=int(job.finished_at),
        created_at=job.finished_at,
        finished_at=job.finished_at,
        expires_at=max(job.expires_at, int(job.finished_at) + KEPT_SECONDS),
    )


def next_due(attempts: int, retry_after: float | None, now: float, rng: random.Random) -> int | None:
    """Return the time of the next attempt after failed ones, not before the receiver's Retry-After; `None`: no more."""
    if attempts >= MAX_ATTEMPTS:
        return None
    wait = SCHEDULE[attempts - 1] * (1 + rng.uniform(0, JITTER))
    return math.ceil(now + max(wait, min(retry_after or 0.0, MAX_RETRY_AFTER)))

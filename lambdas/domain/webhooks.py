"""The event that tells a client's server how a job ended: what it is, and when it is sent again."""

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

# Seconds from one failed attempt to the next. Without the jitter, which only adds, they make 75 h 42 min.
SCHEDULE: Final = (5, 30, 120, 600, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
MAX_ATTEMPTS: Final = len(SCHEDULE) + 1
JITTER: Final = 0.2
MAX_RETRY_AFTER: Final = 86_400.0  # of what a receiver may ask for, in seconds
MAX_DELAY: Final = 900  # seconds that a queue can hold a message back
LEASE_SECONDS: Final = 60  # longer than the function that holds it can live
POST_SECONDS: Final = 15.0  # for one attempt, in all
MAX_BYTES: Final = 20_000  # of a body, not reached
KEPT_SECONDS: Final = 14 * 86_400  # an event is shown at least this long, also where its job's record is not
DISABLED_SECONDS: Final = 30 * 86_400  # an address that answered 410 is left alone


@dataclass(frozen=True, slots=True)
class Event:
    """One final state of one job, for one address. Times are Unix seconds.

    `due`: no attempt before. A message that names an earlier one is superseded. `lease_until`: one attempt is on
    its way, and no other begins before.
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
    last_status: int | None = None  # of the last answer, where there was one

    @property
    def id(self) -> str:
        """The `webhook-id`: the same for every attempt, so that a receiver can tell what it has seen."""
        return f"msg_{self.job_id}"

    def claimed(self, now: float) -> Event:
        return replace(self, attempts=self.attempts + 1, lease_until=int(now) + LEASE_SECONDS)

    def ended(self, state: State, error: str = "", status: int | None = None) -> Event:
        return replace(self, state=state, lease_until=0, last_error=error, last_status=status)

    def failed(self, due: int, error: str, status: int | None) -> Event:
        """This attempt failed, and the next is due then."""
        return replace(self, due=due, lease_until=0, last_error=error, last_status=status)

    def again(self, now: float) -> Event:
        """From the start, by the client's wish."""
        return replace(self, state=PENDING, attempts=0, due=int(now), lease_until=0)


def event_of(job: Job) -> Event | None:
    """The event of a job; `None` where the job goes on, or nobody wants to be told."""
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
    """When to try again after so many attempts have failed, not before what the receiver asks for; `None`: no more."""
    if attempts >= MAX_ATTEMPTS:
        return None
    wait = SCHEDULE[attempts - 1] * (1 + rng.uniform(0, JITTER))
    return math.ceil(now + max(wait, min(retry_after or 0.0, MAX_RETRY_AFTER)))

"""The ports to job records, to batches, and to those who run jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lambdas.domain.jobs.asked import Asked
from lambdas.domain.jobs.job import Batch, Idempotency, Job, JobFilter, StoredImage
from lambdas.domain.limits.budget import NO_CAPS, Caps


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and where the next page begins (`None`: this was the last)."""

    jobs: list[Job]
    next_cursor: str | None


class Jobs(Protocol):
    """Job records, moved only by conditional writes. Every method is bound to a tenant."""

    def create(
        self, job: Job, idempotency: Idempotency | None, caps: Caps = NO_CAPS, asked: Asked | None = None
    ) -> Idempotency | None:
        """Put a new job and, in the same transaction, its idempotency record or `asked`, and what it reserves.

        Returns the living record of the same key when there is one already; then nothing was written. Nor was
        anything where the reservation would pass a cap: then it raises BudgetExceeded; nor where another request has
        made a job of this id: then it raises RecordExists.
        """

    def used(self, tenant: str, key: str, now: float) -> Idempotency | None:
        """The living record of an Idempotency-Key."""

    def asked(self, tenant: str, fingerprint: str, now: float) -> list[Asked]:
        """The living records of jobs that were made for this request without a key."""

    def retake(self, seen: Asked, new: Asked) -> bool:
        """Replace such a record where it is as it was seen; False where another sending was first."""

    def get(self, tenant: str, job_id: str) -> Job | None: ...

    def claim(self, tenant: str, job_id: str, now: float, lease_until: float) -> Job | None:
        """Take a queued job, or a running one whose lease has passed, under a new fence; else `None`."""

    def renew(self, job: Job, lease_until: float) -> bool:
        """Lengthen the lease; False when another run has taken the job over."""

    def save(self, job: Job) -> bool:
        """Store the attempts and images so far; False when another run has taken the job over."""

    def release(self, job: Job) -> bool:
        """Give a claimed job back to the queue; False when another run has taken it over.

        One of which nothing is begun, or whose last attempt is a ticket that is waited for.
        """

    def finish(self, job: Job) -> bool:
        """Move a running job to its final state, with its images and what it cost; False when another run was first."""

    def cancel(self, tenant: str, job_id: str, now: float) -> bool:
        """Move a queued job to `cancelled`; False when it was not queued."""

    def list(self, tenant: str, where: JobFilter, limit: int, cursor: str | None) -> Page: ...

    def remember(self, job: Job) -> None:
        """Let this completed job answer later requests of the same cache key."""

    def recall(self, tenant: str, cache_key: str) -> Job | None:
        """The completed job of an equal request, if there is one with all its images."""

    def find_image(self, tenant: str, name: str) -> StoredImage | None: ...

    def drop_image(self, tenant: str, image: StoredImage) -> bool:
        """Take the image off its job, which has ended, and off every list; False where that was done before."""


class Batches(Protocol):
    """Which jobs were asked for together."""

    def create(self, batch: Batch, idempotency: Idempotency | None) -> Idempotency | None:
        """As Jobs.create; the record's `job_id` is then the batch's id."""

    def get(self, tenant: str, batch_id: str) -> Batch | None: ...

    def jobs(self, batch: Batch) -> list[Job]:
        """The batch's jobs that exist, in its order."""


class Queue(Protocol):
    def send(self, tenant: str, job_id: str, *, watchdog: bool, delay: int) -> None:
        """Send a message to the workers that arrives after `delay` seconds.

        Raises Unavailable for a `watchdog` alone: any other that is lost costs the job some time, until that one comes.
        """


class Workers(Protocol):
    def run(self, tenant: str, job_id: str, timeout: float) -> None:
        """Start the job in a worker now and wait for its end, `timeout` seconds at the most.

        Returns quietly in any case: whether the job ended is for its record to say.
        """

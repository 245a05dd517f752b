"""Look up what a tenant has; an id that is another tenant's or no id at all is as one that never existed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lambdas.domain import ids
from lambdas.domain.errors import NotFound
from lambdas.domain.jobs.job import COMPLETED, QUEUED, RUNNING, Batch, Job, StoredImage
from lambdas.usecases.deps import Deps


@dataclass(frozen=True, slots=True)
class BatchState:
    """A batch with its jobs; `status` is COMPLETED where all of them have ended, in whatever way."""

    batch: Batch
    jobs: list[Job]
    status: str
    counts: dict[str, int]


def find_job(tenant: str, job_id: str, deps: Deps) -> Job:
    """Raises NotFound."""
    job = deps.jobs.get(tenant, job_id) if ids.JOB_ID.fullmatch(job_id) else None
    if job is None:
        raise NotFound("no such job")
    return job


def find_image(tenant: str, name: str, deps: Deps) -> StoredImage:
    """By its file name. Raises NotFound."""
    image = deps.jobs.find_image(tenant, name) if ids.IMAGE_NAME.fullmatch(name) else None
    if image is None:
        raise NotFound("no such image")
    return image


def find_batch(tenant: str, batch_id: str, deps: Deps) -> Batch:
    """Raises NotFound."""
    batch = deps.batches.get(tenant, batch_id) if ids.JOB_ID.fullmatch(batch_id) else None
    if batch is None:
        raise NotFound("no such batch")
    return batch


def batch_state(tenant: str, batch_id: str, deps: Deps) -> BatchState:
    """Raises NotFound."""
    batch = find_batch(tenant, batch_id, deps)
    jobs = deps.batches.jobs(batch)
    return BatchState(batch, jobs, _status(jobs), dict(Counter(job.status for job in jobs)))


def _status(jobs: Sequence[Job]) -> str:
    if all(job.status == QUEUED for job in jobs):
        return QUEUED
    return COMPLETED if all(job.final for job in jobs) else RUNNING

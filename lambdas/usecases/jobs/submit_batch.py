"""Accept many requests at once: each becomes a job of its own, also one that is refused."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from lambdas.domain import ids
from lambdas.domain.errors import IdempotencyMismatch, ServiceError, Unavailable
from lambdas.domain.jobs.job import Batch, Idempotency, Job, RecordExists
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.limits.budget import reserving
from lambdas.domain.projects import DEFAULT
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.check_backlog import check_backlog
from lambdas.usecases.jobs.find import find_batch
from lambdas.usecases.jobs.submit_job import IDEMPOTENCY_SECONDS, WATCHDOG_SECONDS, Caller, attach, planned_job
from lambdas.usecases.prompts.optimize import most_usd
from lambdas.usecases.webhooks.announce import announce

WRITERS = 8  # jobs stored at the same time


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that is no valid request: its error, and what could be read of it."""

    error: ServiceError
    prompt: str = ""
    project_id: str = "default"
    webhook_url: str | None = None  # a good one: also the refusal is told


Item = ImageRequest | Refused


def submit_batch(items: Sequence[Item], caller: Caller, deps: Deps) -> tuple[Batch, list[Job], bool]:
    """Returns the batch, its jobs in the order of the items, and whether it is an earlier one answered again.

    The batch's record names its jobs before they exist; so a second request under the same Idempotency-Key
    finishes what a first one, that was cut off, had begun, and makes no job twice.
    """
    now = deps.clock.now()
    expires_at = int(now) + deps.retention_days * 86_400
    job_ids = tuple(ids.new_job_id(now, place) for place in range(len(items)))
    batch = Batch(caller.tenant, ids.new_job_id(now), job_ids, now, expires_at)
    key = caller.idempotency_key
    until = int(now) + IDEMPOTENCY_SECONDS
    record = key and Idempotency(caller.tenant, key, caller.fingerprint, batch.id, until)
    pictured = [item for item in items if isinstance(item, ImageRequest) and item.attachment]
    if pictured and not (key and deps.jobs.used(caller.tenant, key, now)):
        _attach(pictured, caller, deps)
    earlier = deps.batches.create(batch, record or None)
    if earlier is not None:
        if earlier.fingerprint != caller.fingerprint:
            raise IdempotencyMismatch("this Idempotency-Key was used for a different request; use a new key")
        batch = find_batch(caller.tenant, earlier.job_id, deps)
    stored = {job.id: job for job in deps.batches.jobs(batch)} if earlier else {}
    missing = [(job_id, item) for job_id, item in zip(batch.job_ids, items, strict=True) if job_id not in stored]
    with ThreadPoolExecutor(WRITERS) as pool:
        made = pool.map(lambda pair: _submitted(pair[1], replace(caller, idempotency_key=None), deps, pair[0]), missing)
        stored |= {job.id: job for job in made}
    return batch, [stored[job_id] for job_id in batch.job_ids], earlier is not None


def _attach(pictured: Sequence[ImageRequest], caller: Caller, deps: Deps) -> None:
    """Store what came with those items that can be accepted, before anything of the batch is on record."""
    for item in pictured:
        try:
            planned_job(item, caller, deps)
        except Unavailable:
            raise
        except ServiceError:
            continue  # told by its job
        attach(item, deps)


def _submitted(item: Item, caller: Caller, deps: Deps, job_id: str) -> Job:
    """The job of this id, also where another request under the same key has made it meanwhile."""
    try:
        return _submit(item, caller, deps, job_id)
    except RecordExists:
        made = deps.jobs.get(caller.tenant, job_id)
        if made is None:
            raise
        return made


def _submit(item: Item, caller: Caller, deps: Deps, job_id: str) -> Job:
    project = item.project_id if isinstance(item, ImageRequest) else DEFAULT
    deps.projects.ensure(caller.tenant, project, deps.clock.now())
    try:
        if isinstance(item, Refused):
            raise item.error
        job = reserving(planned_job(item, caller, deps, job_id), deps.caps, most_usd(item, deps.engines))
        check_backlog(job.tenant, WATCHDOG_SECONDS, deps)
        deps.queue.send(job.tenant, job.id, watchdog=True, delay=WATCHDOG_SECONDS)
        deps.jobs.create(job, None, deps.caps)
    except Unavailable:
        raise  # nothing was wrong with the item
    except ServiceError as error:
        job = _refused(item, error, caller, deps, job_id)
        if job.request.webhook_url:  # what is not handed over here is by a watchdog
            deps.queue.send(job.tenant, job.id, watchdog=True, delay=WATCHDOG_SECONDS)
        deps.jobs.create(job, None)
        announce(job, deps)
        return job
    deps.queue.send(job.tenant, job.id, watchdog=False, delay=0)
    return job


def _refused(item: Item, error: ServiceError, caller: Caller, deps: Deps, job_id: str) -> Job:
    now = deps.clock.now()
    if isinstance(item, Refused):
        request = ImageRequest(item.prompt, project_id=item.project_id, webhook_url=item.webhook_url)
    else:
        request = item.bare()
    job = Job(
        tenant=caller.tenant,
        id=job_id,
        request=request,
        model=request.model or "",
        provider=request.provider,
        seed=0,
        created_at=ids.created_at(job_id),
        request_id=caller.request_id,
        expires_at=int(now) + deps.retention_days * 86_400,
    )
    return job.failed(now, error.code, error.detail)

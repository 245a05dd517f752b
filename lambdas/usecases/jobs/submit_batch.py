"""Accept many requests at once: each becomes a job of its own, also one that is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from lambdas.domain import ids
from lambdas.domain.errors import BudgetExceeded, ServiceError, Unavailable
from lambdas.domain.jobs.job import Batch, Job, RecordExists
from lambdas.domain.jobs.request import Draft, ImageRequest
from lambdas.domain.limits import budget
from lambdas.usecases.deps import Deps
from lambdas.usecases.images.attachments import Attachment, Intake
from lambdas.usecases.jobs.accept import complete
from lambdas.usecases.jobs.find import find_batch
from lambdas.usecases.jobs.submit_job import Caller, check_key, plan_job, record_job
from lambdas.usecases.webhooks.check_url import Verdict, check_webhooks

WRITERS = 8  # jobs stored at the same time


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that is no valid request: its error, and what could be read of it."""

    error: ServiceError
    request: ImageRequest


Item = Draft | Refused


def submit_batch(items: Sequence[Item], caller: Caller, deps: Deps) -> tuple[Batch, list[Job], bool]:
    """Returns the batch, its jobs in the order of the items, and whether it is an earlier one answered again.

    The batch's record names its jobs before they exist; so a second request under the same Idempotency-Key
    finishes what a first one, that was cut off, had begun, and makes no job twice. The pictures of all accepted items
    are stored before anything is on record, so that a bucket out of reach makes no half of a batch.
    """
    now, key = deps.clock.now(), caller.idempotency_key
    used = deps.jobs.used(caller.tenant, key, now) if key else None
    if used is None:
        job_ids = tuple(ids.new_job_id(now, place) for place in range(len(items)))
        batch = Batch(caller.tenant, ids.new_job_id(now), job_ids, now, int(now) + deps.retention_days * 86_400)
        planned = _planned(dict(enumerate(items)), batch, caller, deps)
        used = deps.batches.create(batch, caller.uses_key(batch.id, now))
    replayed, stored = used is not None, {}
    if used is not None:
        check_key(used, caller)
        batch = find_batch(caller.tenant, used.job_id, deps)
        stored = {job.id: job for job in deps.batches.jobs(batch)}
        missing = {place: item for place, item in enumerate(items) if batch.job_ids[place] not in stored}
        planned = _planned(missing, batch, caller, deps, resumed=True)
    with ThreadPoolExecutor(WRITERS) as pool:
        stored |= {job.id: job for job in pool.map(lambda job: _recorded(job, deps), planned)}
    return batch, [stored[job_id] for job_id in batch.job_ids], replayed


def _planned(
    items: Mapping[int, Item], batch: Batch, caller: Caller, deps: Deps, *, resumed: bool = False
) -> list[Job]:
    """The jobs of these items, by their places in the batch, not stored yet; their pictures are."""
    verdicts = check_webhooks((item.request for item in items.values()), caller.tenant, deps)
    intake = Intake(caller.tenant, deps)
    for place, item in items.items():
        if isinstance(item, Draft) and item.picture is not None:
            intake.count(item.picture, f"requests.{place}.{item.picture_field}")
    # The first request of a resumed batch may still be storing these jobs: their reservations may be counted already.
    caps = budget.NO_CAPS if resumed else deps.caps
    committed = deps.books.committed(batch.tenant, batch.created_at) if caps.any else budget.Committed()
    jobs: list[Job] = []
    pictures: dict[str, Attachment] = {}
    for place, item in items.items():
        job_id = batch.job_ids[place]
        try:
            if isinstance(item, Refused):
                raise item.error
            request, picture = complete(item, verdicts, intake, deps)
            job = plan_job(request, caller, deps, job_id=job_id, queued=True)
            committed = budget.check(job, caps, committed)
        except Unavailable:
            raise  # nothing was wrong with the item
        except ServiceError as error:
            job = _refused(item.request, verdicts, error, caller, deps, job_id)
        else:
            if picture and not job.final:
                pictures[picture.key] = picture
        jobs.append(job)
    for picture in pictures.values():
        picture.store(deps)
    return jobs


def _recorded(job: Job, deps: Deps) -> Job:
    """The job of this id, also where another request under the same key has made it meanwhile."""
    try:
        record_job(job, None, deps)
    except RecordExists:
        made = deps.jobs.get(job.tenant, job.id)
        if made is None:
            raise
        return made
    except BudgetExceeded as error:
        refused = replace(job, reserved_microusd=0, reserved_images=0)
        return _recorded(refused.failed(deps.clock.now(), error.code, error.detail), deps)
    if not job.final:
        deps.queue.send(job.tenant, job.id, watchdog=False, delay=0)
    return job


def _refused(
    request: ImageRequest,
    verdicts: Mapping[str, Verdict],
    error: ServiceError,
    caller: Caller,
    deps: Deps,
    job_id: str,
) -> Job:
    """A failed job, which is announced to its webhook if that is a good one."""
    now = deps.clock.now()
    url = request.webhook_url
    job = Job(
        tenant=caller.tenant,
        id=job_id,
        request=replace(request, webhook_url=url if url and isinstance(verdicts[url], bool) else None),
        model=request.model or "",
        provider=request.provider,
        seed=0,
        created_at=ids.created_at(job_id),
        request_id=caller.request_id,
        expires_at=int(now) + deps.retention_days * 86_400,
    )
    return job.failed(now, error.code, error.detail)

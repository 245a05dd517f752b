"""Accept a request: decide the model, make the job record, and see to it that the job will end."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from lambdas.domain import ids
from lambdas.domain.errors import IdempotencyMismatch, ServiceError
from lambdas.domain.jobs.job import Idempotency, Job
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.limits.budget import reserving
from lambdas.domain.routing import planning
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.check_backlog import check_backlog
from lambdas.usecases.prompts.optimize import most_usd
from lambdas.usecases.webhooks.announce import announce

# The watchdog's message comes this long after submission, and again until the job has ended. It is longer
# than a lease, so that it finds an abandoned job free to be taken.
WATCHDOG_SECONDS = 30
IDEMPOTENCY_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: `idempotency_key` with the `fingerprint` of what was asked under it."""

    tenant: str
    request_id: str
    idempotency_key: str | None = None
    fingerprint: str = ""


def submit_job(request: ImageRequest, caller: Caller, deps: Deps, *, queued: bool = False) -> tuple[Job, bool]:
    """Returns the job, and whether it is an earlier one answered again under its Idempotency-Key.

    `queued`: the job is to go through the queue. Raises the routing errors, Overloaded where a queued job would wait
    too long, IdempotencyMismatch where the key was used for another request, and BudgetExceeded.
    """
    key = caller.idempotency_key
    if key and request.attachment and (used := deps.jobs.used(caller.tenant, key, deps.clock.now())):
        return _first(used, caller, deps), True  # before anything is stored for it
    try:
        job = _recalled(planned_job(request, caller, deps), deps)
        if queued and not job.final:
            check_backlog(job.tenant, WATCHDOG_SECONDS, deps)
    except ServiceError:
        # what was answered once is answered again, also where it could not be begun now
        used = deps.jobs.used(caller.tenant, key, deps.clock.now()) if key else None
        if used is None:
            raise
        return _first(used, caller, deps), True
    now = job.created_at
    if not job.final:
        attach(request, deps)
    # Before the record, so that no crash can leave a record without its watchdog.
    deps.queue.send(job.tenant, job.id, watchdog=True, delay=WATCHDOG_SECONDS)
    job = reserving(job, deps.caps, most_usd(request, deps.engines))
    record = key and Idempotency(job.tenant, key, caller.fingerprint, job.id, int(now) + IDEMPOTENCY_SECONDS)
    deps.projects.ensure(job.tenant, request.project_id, now)
    earlier = deps.jobs.create(job, record or None, deps.caps)
    if earlier is not None:
        return _first(earlier, caller, deps), True
    announce(job, deps)
    return job, False


def attach(request: ImageRequest, deps: Deps) -> None:
    """Store the picture that came with an accepted request, where its job will find it."""
    if picture := request.attachment:
        deps.blobs.put(picture.key, picture.data, picture.media_type)


def _first(earlier: Idempotency, caller: Caller, deps: Deps) -> Job:
    """The job that the key stands for. Raises IdempotencyMismatch."""
    if earlier.fingerprint != caller.fingerprint:
        raise IdempotencyMismatch("this Idempotency-Key was used for a different request; use a new key for a new one")
    first = deps.jobs.get(caller.tenant, earlier.job_id)
    if first is None:
        raise IdempotencyMismatch("the job of this Idempotency-Key is gone; use a new key")
    return first


def _recalled(job: Job, deps: Deps) -> Job:
    """The job as it is when an equal earlier one has its images already: completed at once, and free."""
    earlier = deps.jobs.recall(job.tenant, job.cache_key) if job.cache_key else None
    if earlier is None:
        return job
    done = replace(
        job,
        cached=True,
        images=earlier.images,
        model=earlier.model,
        provider=earlier.provider,
        prompt=earlier.prompt,
        rewriting=earlier.rewriting and replace(earlier.rewriting, cost_usd=0.0, lost_usd=0.0),
        dropped=(*(d for d in earlier.dropped if d not in earlier.request.ignored), *job.request.ignored),
        sizing=earlier.sizing,
        started_at=job.created_at,
    )
    return done.completed(job.created_at)


def planned_job(request: ImageRequest, caller: Caller, deps: Deps, job_id: str | None = None) -> Job:
    """A job that is not stored yet. Raises the routing errors."""
    now, request, rng = deps.clock.now(), request.bare(), random.Random()
    cards = planning.plan(request, deps.house(), now, rng)
    card = cards[0]
    job_id = job_id or ids.new_job_id(now)
    return Job(
        tenant=caller.tenant,
        id=job_id,
        request=request,
        model=card.id,
        provider=card.provider,
        plan=tuple(card.id for card in cards),
        cache_key=request.cache_key(),
        seed=planning.draw_seed(request, card, rng),
        created_at=ids.created_at(job_id),
        request_id=caller.request_id,
        dropped=planning.replaced(request, card) + planning.dropped(request, card) + request.ignored,
        warnings=planning.warnings(card, now, request.prompt),
        expires_at=int(now) + deps.retention_days * 86_400,
    )

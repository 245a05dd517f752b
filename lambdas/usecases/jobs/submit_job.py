"""Make a job of a checked request: decide its models, store it, and see to it that it will end."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from lambdas.domain import ids
from lambdas.domain.errors import IdempotencyMismatch
from lambdas.domain.jobs import asked
from lambdas.domain.jobs.asked import Asked, Sending
from lambdas.domain.jobs.job import Idempotency, Job
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.limits import budget
from lambdas.domain.routing import planning
from lambdas.usecases.deps import Deps
from lambdas.usecases.images.attachments import Attachment
from lambdas.usecases.jobs.check_backlog import check_backlog
from lambdas.usecases.prompts.optimize import most_usd
from lambdas.usecases.webhooks.announce import announce

# The watchdog's message comes this long after submission, and again until the job has ended. It is longer
# than a lease, so that it finds an abandoned job free to be taken.
WATCHDOG_SECONDS = 30
IDEMPOTENCY_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: `idempotency_key` with the `fingerprint` of what was asked under it, or `sending` in place of a key."""

    tenant: str
    request_id: str
    idempotency_key: str | None = None
    fingerprint: str = ""
    sending: Sending | None = None

    def asks(self, job_id: str, now: float) -> Asked | None:
        """The record by which a repetition of this sending finds the job; `None` where a key serves for that."""
        if self.sending is None or self.idempotency_key is not None:
            return None
        return asked.first(self.tenant, self.sending, job_id, now)

    def uses_key(self, job_id: str, now: float) -> Idempotency | None:
        """The row that marks the key as used for this job or batch; `None` without a key."""
        if self.idempotency_key is None:
            return None
        until = int(now) + IDEMPOTENCY_SECONDS
        return Idempotency(self.tenant, self.idempotency_key, self.fingerprint, job_id, until)


def submit_job(
    request: ImageRequest,
    caller: Caller,
    deps: Deps,
    *,
    attachment: Attachment | None = None,
    queued: bool = False,
) -> tuple[Job, bool]:
    """Returns the job, and whether it is one that another request under the same Idempotency-Key has just made.

    `attachment`: the picture at `reference_key`. Raises as plan_job, BudgetExceeded, and IdempotencyMismatch.
    """
    job = plan_job(request, caller, deps, queued=queued)
    if job.reserved_images:
        budget.check(job, deps.caps, deps.books.committed(job.tenant, job.created_at))
    if attachment and not job.final:
        attachment.store(deps)
    key, sent = caller.uses_key(job.id, job.created_at), caller.asks(job.id, job.created_at)
    earlier = record_job(job, key, deps, sent)
    return (first_job(earlier, caller, deps), True) if earlier else (job, False)


def plan_job(
    request: ImageRequest, caller: Caller, deps: Deps, *, job_id: str | None = None, queued: bool = False
) -> Job:
    """A job with what it reserves, not stored yet; completed, if an equal earlier one has its images.

    `queued`: it is to go through the queue. Raises the routing errors, and Overloaded where a queued job would wait too
    long.
    """
    job = _recalled(_planned(request, caller, deps, job_id), deps)
    if job.final:
        return job
    if queued:
        check_backlog(job.tenant, WATCHDOG_SECONDS, deps)
    return budget.reserving(job, deps.caps, most_usd(request, deps.engines))


def record_job(job: Job, key: Idempotency | None, deps: Deps, sent: Asked | None = None) -> Idempotency | None:
    """Store the job, unless the key has a living row: then returns that.

    Raises BudgetExceeded, and RecordExists for a job whose id was given out before.
    """
    if not job.final or job.request.webhook_url:
        # Before the record, so that no crash can leave a record without its watchdog.
        deps.queue.send(job.tenant, job.id, watchdog=True, delay=WATCHDOG_SECONDS)
    deps.projects.ensure(job.tenant, job.request.project_id, job.created_at)
    earlier = deps.jobs.create(job, key, deps.caps, sent)
    if earlier is None:
        announce(job, deps)
        if job.final:  # no run will tell of it
            deps.meter.job(job)
    return earlier


def check_key(used: Idempotency, caller: Caller) -> None:
    """Raises IdempotencyMismatch if the key was used for another request."""
    if used.fingerprint != caller.fingerprint:
        raise IdempotencyMismatch("this Idempotency-Key was used for a different request; use a new key for a new one")


def first_job(used: Idempotency, caller: Caller, deps: Deps) -> Job:
    """The job that the key stands for. Raises IdempotencyMismatch."""
    check_key(used, caller)
    first = deps.jobs.get(caller.tenant, used.job_id)
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


def _planned(request: ImageRequest, caller: Caller, deps: Deps, job_id: str | None) -> Job:
    now, rng = deps.clock.now(), random.Random()
    cards = planning.plan(request, deps.deployment(), now, rng)
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

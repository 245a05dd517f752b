"""Accept a request: decide the model, make the job record, and see to it that the job will end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from lambdas.domain import ids, routing
from lambdas.domain.errors import IdempotencyMismatch
from lambdas.domain.jobs import Idempotency, Job
from lambdas.domain.requests import ImageRequest
from lambdas.usecases.deps import Deps

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


def submit_job(request: ImageRequest, caller: Caller, deps: Deps) -> tuple[Job, bool]:
    """Returns the job, and whether it is an earlier one answered again under its Idempotency-Key.

    Raises the routing errors, and IdempotencyMismatch where the key was used for another request.
    """
    now = deps.clock.now()
    choice = routing.choose(request, deps.house(), datetime.fromtimestamp(now, UTC).date())
    job = Job(
        tenant=caller.tenant,
        id=ids.new_job_id(now),
        request=request,
        model=choice.card.id,
        provider=choice.card.provider,
        seed=routing.draw_seed(request, choice.card),
        created_at=now,
        request_id=caller.request_id,
        dropped=choice.dropped,
        warnings=choice.warnings,
        expires_at=int(now) + deps.retention_days * 86_400,
    )
    # Before the record, so that no crash can leave a record without its watchdog.
    deps.queue.send(job.tenant, job.id, watchdog=True, delay=WATCHDOG_SECONDS)
    key = caller.idempotency_key
    record = key and Idempotency(job.tenant, key, caller.fingerprint, job.id, int(now) + IDEMPOTENCY_SECONDS)
    earlier = deps.jobs.create(job, record or None)
    if earlier is None:
        return job, False
    if earlier.fingerprint != caller.fingerprint:
        raise IdempotencyMismatch("this Idempotency-Key was used for a different request; use a new key for a new one")
    first = deps.jobs.get(job.tenant, earlier.job_id)
    if first is None:
        raise IdempotencyMismatch("the job of this Idempotency-Key is gone; use a new key")
    return first, True

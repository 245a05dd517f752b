"""Generate for clients that repeat a request by themselves and send no Idempotency-Key: one payment for all of it."""

from __future__ import annotations

import math
from contextlib import suppress

from lambdas.domain import catalogue
from lambdas.domain.errors import BY_CODE, ContentRefused, InvalidRequest, OutcomeUnknown, ServiceError, Unavailable
from lambdas.domain.jobs import asked as a
from lambdas.domain.jobs import job as j
from lambdas.domain.jobs.asked import Asked, Sending
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import Draft
from lambdas.domain.routing.health import Health
from lambdas.domain.routing.ranking import expected_seconds
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.generate import awaited, generate
from lambdas.usecases.jobs.submit_job import Caller

MAX_ROUNDS = 10  # of equal requests that take from the same jobs at once
LATE_SECONDS = 1.0  # in which the sending before may still come to make its job
WAIT_SECONDS = (2, 60)  # that a client is told to wait, at the least and the most
_NOT_ANEW = (InvalidRequest, ContentRefused, OutcomeUnknown)  # another job would end as this one, or pay again


def generate_repeatable(
    draft: Draft, caller: Caller, deps: Deps, *, respond_async: bool, deadline: float
) -> tuple[Job, bool]:
    """Returns the job, final or not, and whether an earlier sending of the request, or its key, has made it.

    A repetition takes up the job of the sending before, and waits for it until `deadline`. Raises as `generate`.
    """
    sending = caller.sending
    if sending is None or caller.idempotency_key is not None:
        repeated = sending is not None and bool(sending.number)
        return generate(draft, caller, deps, respond_async=respond_async, deadline=deadline, wait_for_earlier=repeated)
    taken = _take_up(caller.tenant, sending, deps)
    if taken is not None:
        held, job = taken
        if not respond_async:
            job = awaited(job, deadline, deps)
        _ended(held, job, deps, respond_async=respond_async)
        return job, True
    job, replayed = generate(draft, caller, deps, respond_async=respond_async, deadline=deadline)
    held = a.first(caller.tenant, sending, job.id, job.created_at)
    _ended(held, job, deps, respond_async=respond_async)
    return job, replayed


def may_be_made_anew(job: Job) -> bool:
    """Whether a repetition of the request makes another job: this one has failed, and nothing may have been paid."""
    if job.status != j.FAILED or job.error is None:
        return False
    free = not job.cost_usd and all(attempt.paid == "no" for attempt in job.attempts)
    return free and not issubclass(BY_CODE.get(job.error.code, ServiceError), _NOT_ANEW)


def seconds_left(job: Job, deps: Deps) -> int:
    """How long a client should wait before it asks again: as long as the job is expected to take.

    One that takes longer than expected is given as long again as it has taken.
    """
    card, now = catalogue.card(job.model), deps.clock.now()
    took = now - (job.started_at or job.created_at)
    each = expected_seconds(deps.health.snapshot().get(job.provider, Health()), card, now) if card else 0.0
    left = each * job.request.n - took
    return max(WAIT_SECONDS[0], min(WAIT_SECONDS[1], math.ceil(left if left > 0 else took)))


def _take_up(tenant: str, sending: Sending, deps: Deps) -> tuple[Asked, Job] | None:
    """Take over a job of an earlier sending; `None` where there is none, or where another is to be made."""
    if sending.number == 0:
        return None
    rows = deps.jobs.asked(tenant, sending.fingerprint, deps.clock.now())
    if not rows and sending.number:
        deps.clock.sleep(LATE_SECONDS)
        rows = deps.jobs.asked(tenant, sending.fingerprint, deps.clock.now())
    for _ in range(MAX_ROUNDS):
        choice = a.to_take_up(rows, sending, deps.clock.now())
        for seen in choice:
            mine = seen.taken_by(sending)
            if not deps.jobs.retake(seen, mine):
                continue
            job = deps.jobs.get(tenant, seen.job_id) if mine.state == a.HELD else None
            if job is None:
                return None
            if may_be_made_anew(job) or job.status == j.CANCELLED:
                deps.jobs.retake(mine, mine.ended(a.SPENT, deps.clock.now()))
                return None
            return mine, job
        if not choice:
            return None
        rows = deps.jobs.asked(tenant, sending.fingerprint, deps.clock.now())
    raise Unavailable("many equal requests come at once; try again in a moment", retry_after=1)


def _ended(held: Asked, job: Job, deps: Deps, *, respond_async: bool) -> None:
    """Note what becomes of this sending, unless a repetition has taken the job over meanwhile."""
    with suppress(Unavailable):  # the job is there all the same, and its row serves as it stands
        deps.jobs.retake(held, held.ended(_state(job, respond_async=respond_async), deps.clock.now()))


def _state(job: Job, *, respond_async: bool) -> a.State:
    if not job.final:
        return a.ANSWERED if respond_async else a.OPEN
    return a.FAILED if may_be_made_anew(job) else a.ANSWERED

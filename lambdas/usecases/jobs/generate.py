"""Answer a request for images: at once where that can be, else with a job that goes on."""

from __future__ import annotations

from lambdas.domain import catalogue
from lambdas.domain.errors import StillInProgress, Unavailable
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import Draft
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.accept import accept
from lambdas.usecases.jobs.run_job import run_job
from lambdas.usecases.jobs.submit_job import Caller

POLL_SECONDS = 1.0  # between two looks at a job that another request has begun
MIN_SECONDS = 5.0  # with less time than this to the deadline nothing is begun here


def generate(
    draft: Draft,
    caller: Caller,
    deps: Deps,
    *,
    respond_async: bool,
    deadline: float,
    wait_for_earlier: bool = False,
) -> tuple[Job, bool]:
    """Returns the job, final or not, and whether it is an earlier one answered again.

    Models that always answer fast are asked right here. Any other is asked by a worker, which has the time
    to end what it began: this function only waits for it, until `deadline` (Unix seconds). Where a slow start has
    left no time for either, the job goes by the queue. Raises StillInProgress where the first request under the same
    Idempotency-Key is at work, unless `wait_for_earlier`.
    """
    job, replayed = accept(draft, caller, deps, queued=respond_async)
    if replayed:
        if wait_for_earlier and not respond_async:
            return awaited(job, deadline, deps), True
        if not job.final and not respond_async:
            raise StillInProgress("the first request with this Idempotency-Key is still in progress", retry_after=1)
        return job, True
    if job.final:
        return job, False
    if respond_async or deadline - deps.clock.now() < MIN_SECONDS:
        deps.queue.send(job.tenant, job.id, watchdog=False, delay=0)
        return job, False
    cards = [catalogue.card(model) for model in job.plan]
    try:
        if all(card and card.call == "instant" for card in cards):
            ended = run_job(job.tenant, job.id, deadline, deps)
        else:
            deps.workers.run(job.tenant, job.id, deadline - deps.clock.now())
            ended = deps.jobs.get(job.tenant, job.id)
    except Unavailable:
        ended = None  # it is accepted, and its watchdog sees to it: an error would make the client ask for another
    return ended or job, False


def awaited(job: Job, deadline: float, deps: Deps) -> Job:
    """The job once it has ended, or as it stands at `deadline`."""
    while not job.final and (left := deadline - deps.clock.now()) > 0:
        deps.clock.sleep(min(POLL_SECONDS, left))
        job = deps.jobs.get(job.tenant, job.id) or job
    return job

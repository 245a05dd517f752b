"""What a worker does with a message about a job."""

from __future__ import annotations

from lambdas.domain.errors import ServiceError, Unavailable
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.run_job import LEASE_SECONDS, run_job
from lambdas.usecases.jobs.submit_job import WATCHDOG_SECONDS
from lambdas.usecases.webhooks.announce import announce_undelivered

LIFE_SECONDS = 24 * 3600  # a job that has not ended so long after it was accepted is given up, and its messages end


def handle_job_message(
    tenant: str, job_id: str, deadline: float, deps: Deps, *, watchdog: bool, queued: bool = True
) -> None:
    """Run the job if it is free. A watchdog's message first sends its successor, until the job has ended.

    Not `queued` is the call of one who waits for the job's client.
    The last one hands the job's event over, where nobody has yet.
    A message about an unknown job is one whose submission never came to be: it is let go.
    No message about a job that is past its life leads to another, but while a run holds the job: it is run once more,
    for what is paid may still be had, and given up.
    """
    job = deps.jobs.get(tenant, job_id)
    if job is None:
        return
    if job.final:
        if watchdog:
            announce_undelivered(job, deps)
        return
    if deps.clock.now() >= job.created_at + LIFE_SECONDS:
        run_job(tenant, job_id, deadline, deps, watchdog=True)
        if not fail_dead_lettered_job(tenant, job_id, deps) and watchdog:
            deps.queue.send(tenant, job_id, watchdog=True, delay=WATCHDOG_SECONDS)
        return
    try:
        if watchdog:
            deps.queue.send(tenant, job_id, watchdog=True, delay=WATCHDOG_SECONDS)
    except Unavailable:
        run_job(tenant, job_id, deadline, deps, watchdog=True)
        raise  # without a successor this message must come again, be it only to find the job final
    run_job(tenant, job_id, deadline, deps, watchdog=watchdog, queued=queued)


def fail_dead_lettered_job(tenant: str, job_id: str, deps: Deps) -> bool:
    """End a job whose message the workers could not handle; False while another run still holds it."""
    now = deps.clock.now()
    job = deps.jobs.claim(tenant, job_id, now, now + LEASE_SECONDS)
    if job is None:
        left = deps.jobs.get(tenant, job_id)
        if left is not None and left.final:
            announce_undelivered(left, deps)
        return left is None or left.final
    failed = job.failed(now, ServiceError.code, "the job could not be run")
    if not deps.jobs.finish(failed):
        return False
    announce_undelivered(failed, deps)
    return True

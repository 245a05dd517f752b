"""Handle a queue message about a job: run the job, or end it."""

from __future__ import annotations

from lambdas.domain.errors import ServiceError, Unavailable
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.run_job import LEASE_SECONDS, run_job
from lambdas.usecases.jobs.submit_job import WATCHDOG_SECONDS
from lambdas.usecases.webhooks.announce import announce_undelivered

LIFE_SECONDS = 24 * 3600  # after acceptance: an unfinished job is failed then, so that its messages end too


def handle_job_message(
    tenant: str, job_id: str, deadline: float, deps: Deps, *, watchdog: bool, queued: bool = True
) -> None:
    """Run the job if no other run holds it. A watchdog message first sends its successor, until the job has ended.

    `queued` is false for a direct call, whose client waits. The last watchdog message also sends the job's webhook
    event, if it has not been sent. A message about an unknown job is ignored: its submission was cut off before the
    record. A job older than LIFE_SECONDS is run once more, because paid work may still be collected, and then failed;
    its watchdog goes on only while another run holds it.
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
        raise  # without a successor this message must come again
    run_job(tenant, job_id, deadline, deps, watchdog=watchdog, queued=queued)


def fail_dead_lettered_job(tenant: str, job_id: str, deps: Deps) -> bool:
    """Fail a job whose message the workers could not handle. False while another run holds it."""
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
    deps.meter.job(failed)
    return True

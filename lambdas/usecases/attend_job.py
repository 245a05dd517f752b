"""What a worker does with a message about a job."""

from __future__ import annotations

from lambdas.domain.errors import ServiceError
from lambdas.usecases.deps import Deps
from lambdas.usecases.run_job import LEASE_SECONDS, run_job
from lambdas.usecases.submit_job import WATCHDOG_SECONDS


def attend_job(tenant: str, job_id: str, deadline: float, deps: Deps, *, watchdog: bool) -> None:
    """Run the job if it is free. A watchdog's message first sends its successor, until the job has ended.

    A message about an unknown job is one whose submission never came to be: it is let go.
    """
    job = deps.jobs.get(tenant, job_id)
    if job is None or job.final:
        return
    if watchdog:
        deps.queue.send(tenant, job_id, watchdog=True, delay=WATCHDOG_SECONDS)
    run_job(tenant, job_id, deadline, deps)


def give_up_job(tenant: str, job_id: str, deps: Deps) -> bool:
    """End a job whose message the workers could not handle; False while another run still holds it."""
    now = deps.clock.now()
    job = deps.jobs.claim(tenant, job_id, now, now + LEASE_SECONDS)
    if job is None:
        left = deps.jobs.get(tenant, job_id)
        return left is None or left.final
    return deps.jobs.finish(job.failed(now, ServiceError.code, "the job could not be run"))

"""Have a job attended whose work at a provider is said to be done."""

from __future__ import annotations

from lambdas.usecases.deps import Deps


def requeue_finished_job(tenant: str, job_id: str, deps: Deps) -> bool:
    """Queue the job for a worker now, if its last attempt is still waited for; says whether it was.

    A worker that is at the job finds the result by itself, and the message then finds the job taken: nothing is done
    twice. A result that comes after its attempt was given up is let go.
    """
    job = deps.jobs.get(tenant, job_id)
    if job is None or job.final or not job.attempts:
        return False
    last = job.attempts[-1]
    if last.outcome != "unknown" or last.error_code or not last.ticket:
        return False
    deps.queue.send(tenant, job_id, watchdog=False, delay=0)
    return True

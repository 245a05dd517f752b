"""Re-queue a job whose provider reports that its work has ended."""

from __future__ import annotations

from lambdas.usecases.deps import Deps


def requeue_finished_job(tenant: str, job_id: str, deps: Deps) -> bool:
    """Queue the job for a worker now, if its last attempt still waits for a result. Returns whether it does.

    A worker that runs the job at the moment finds the result itself; the message then finds the job claimed, and
    nothing is done twice. A result of an attempt that was given up is ignored.
    """
    job = deps.jobs.get(tenant, job_id)
    if job is None or job.final or not job.attempts:
        return False
    last = job.attempts[-1]
    if last.outcome != "unknown" or last.error_code or not last.ticket:
        return False
    deps.queue.send(tenant, job_id, watchdog=False, delay=0)
    return True

"""Cancel a job that has not started."""

from __future__ import annotations

from lambdas.domain.errors import JobEnded, JobStarted
from lambdas.domain.jobs.job import Job
from lambdas.usecases.deps import Deps
from lambdas.usecases.webhooks.announce import announce


def cancel_job(job: Job, deps: Deps) -> Job:
    """The job as it is then. Raises JobEnded and JobStarted."""
    if job.final:
        raise JobEnded(f"the job has ended: it is {job.status}")
    if not deps.jobs.cancel(job.tenant, job.id, deps.clock.now()):
        raise JobStarted("the job has started and can no longer be cancelled")
    cancelled = deps.jobs.get(job.tenant, job.id) or job
    announce(cancelled, deps)
    return cancelled

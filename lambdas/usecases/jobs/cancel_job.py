"""Cancel a job that has not started."""

from __future__ import annotations

from lambdas.domain.errors import JobEnded, JobStarted
from lambdas.domain.jobs.job import Job
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.find import find_job
from lambdas.usecases.webhooks.announce import announce


def cancel_job(tenant: str, job_id: str, deps: Deps) -> Job:
    """The job as it is then. Raises NotFound, JobEnded and JobStarted."""
    job = find_job(tenant, job_id, deps)
    if job.final:
        raise JobEnded(f"the job has ended: it is {job.status}")
    if not deps.jobs.cancel(job.tenant, job.id, deps.clock.now()):
        raise JobStarted("the job has started and can no longer be cancelled")
    cancelled = deps.jobs.get(job.tenant, job.id) or job
    announce(cancelled, deps)
    deps.meter.job(cancelled)
    return cancelled

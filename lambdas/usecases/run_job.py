"""Do a job's work: claim it, make its images, and end it once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread

from lambdas.domain.errors import ServiceError
from lambdas.domain.jobs import COMPLETED, Job
from lambdas.usecases.deps import Deps
from lambdas.usecases.make_image import JobFailed, TakenOver, make_image
from lambdas.usecases.optimize_prompt import is_long, optimize

LEASE_SECONDS = 20.0  # an abandoned job can be taken over after this
BEAT_SECONDS = 5.0
MAX_RUNS = 5  # a job that has killed this many workers is given up
RESERVE_SECONDS = 3.0  # kept back from the deadline to store what came


def run_job(tenant: str, job_id: str, deadline: float, deps: Deps) -> Job | None:
    """Run the job if it is free, and return it as it stands then; `None` where there is no such job.

    Safe to call at any time, any number of times: a claim lets one run at a time through, and every write
    is refused once another run has claimed the job. `deadline` in Unix seconds.
    """
    now = deps.clock.now()
    job = deps.jobs.claim(tenant, job_id, now, now + LEASE_SECONDS)
    if job is None:
        return deps.jobs.get(tenant, job_id)
    if job.fence > 1:
        deps.meter.abandoned()
    try:
        with _lease_kept(job, deps):
            job = _work(job, deadline, deps)
        if not deps.jobs.finish(job):
            raise TakenOver
    except TakenOver:
        return deps.jobs.get(tenant, job_id)
    deps.meter.job(job)
    if job.status == COMPLETED and job.cache_key:
        deps.jobs.remember(job)
    return job


def _work(job: Job, deadline: float, deps: Deps) -> Job:
    """Make what is missing of the job's images; the job returned is in a final state."""
    if job.fence > MAX_RUNS:
        return job.failed(deps.clock.now(), ServiceError.code, "the job could not be run")
    limit = deadline - RESERVE_SECONDS
    if deps.generation_timeout:
        limit = min(limit, job.created_at + deps.generation_timeout)
    try:
        job = _with_prompt(job, deps)
        for index in range(len(job.images), job.request.n):
            job = make_image(job, index, limit, deps)
            if index + 1 < job.request.n and not deps.jobs.save(job):
                raise TakenOver
    except JobFailed as failed:
        return failed.job.failed(deps.clock.now(), failed.error.code, failed.error.detail)
    return job.completed(deps.clock.now())


def _with_prompt(job: Job, deps: Deps) -> Job:
    """The job with the prompt its providers are to get, shortened where it is long and the client allows it."""
    prompt = job.request.prompt
    if job.prompt or not (job.request.optimize_prompt and is_long(prompt)):
        return job
    short = optimize(prompt, deps.engines, deps.clock)
    done = {"method": short.method, "engine": short.engine, "seconds": short.seconds, "warnings": list(short.warnings)}
    job = replace(job, prompt=short.text, rewriting=done)
    if not deps.jobs.save(job):
        raise TakenOver
    return job


@contextmanager
def _lease_kept(job: Job, deps: Deps) -> Iterator[None]:
    """Renew the lease from a thread while the work goes on, so that a dead run is noticed within seconds."""
    over = Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            if not deps.jobs.renew(job, deps.clock.now() + LEASE_SECONDS):
                return

    thread = Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(BEAT_SECONDS)

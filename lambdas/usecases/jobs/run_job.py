"""Do a job's work: claim it, make its images, and end it once."""

from __future__ import annotations

import math
import random
from contextlib import suppress
from dataclasses import replace

from lambdas.domain.errors import GenerationTimeout, ServiceError, Unavailable
from lambdas.domain.jobs.job import COMPLETED, Job, Rewriting
from lambdas.domain.limits import slots
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.make_image import JobFailed, NoRoom, StillWorking, TakenOver, make_image
from lambdas.usecases.prompts.optimize import guess, is_long, optimize
from lambdas.usecases.webhooks.announce import announce

LEASE_SECONDS = 20.0  # an abandoned job can be taken over after this
BEAT_SECONDS = 5.0  # the lease is renewed this often while the work goes on
MAX_RUNS = 5  # a job that has killed this many workers is given up
RESERVE_SECONDS = 3.0  # kept back from the deadline to store what came


def run_job(
    tenant: str, job_id: str, deadline: float, deps: Deps, *, watchdog: bool = False, queued: bool = False
) -> Job | None:
    """Run the job if it is free, and return it as it stands then; `None` where there is no such job.

    Safe to call at any time, any number of times: a claim lets one run at a time through, and every write
    is refused once another run has claimed the job. `deadline` in Unix seconds. A job that finds no room at any
    provider is queued again, with a message that comes later; not for its `watchdog`, whose next one is on its way.
    So is, for a while, one that came from the queue (`queued`) and finds no provider that can be reached.
    So is a job, without a message, whose work goes on at a provider that tells when it is done.
    """
    now = deps.clock.now()
    claimed = deps.jobs.claim(tenant, job_id, now, now + LEASE_SECONDS)
    if claimed is None:
        return deps.jobs.get(tenant, job_id)
    job = claimed
    if job.runs > 1:
        deps.meter.abandoned()
    try:
        with deps.heartbeat(lambda: deps.jobs.renew(claimed, deps.clock.now() + LEASE_SECONDS), BEAT_SECONDS):
            job = _work(job, deadline, deps, queued=queued)
        if not deps.jobs.finish(job):
            raise TakenOver
    except NoRoom as full:
        _give_back(full, deps, watchdog=watchdog)
        return deps.jobs.get(tenant, job_id)
    except StillWorking as waiting:
        deps.jobs.release(waiting.job)  # the notice of its end, or else its watchdog, brings it back
        return deps.jobs.get(tenant, job_id)
    except TakenOver:
        return deps.jobs.get(tenant, job_id)
    announce(job, deps)
    deps.meter.job(job)
    if job.status == COMPLETED and job.cache_key:
        with suppress(Unavailable):  # the job has ended all the same
            deps.jobs.remember(job)
    return job


def _give_back(full: NoRoom, deps: Deps, *, watchdog: bool) -> None:
    job = full.job
    if deps.jobs.release(job) and not watchdog:
        pause = slots.pause(job.released + 1, random.random())
        delay = pause if full.until is None else max(1, math.ceil(full.until - deps.clock.now()))
        deps.queue.send(job.tenant, job.id, watchdog=False, delay=delay)


def _work(job: Job, deadline: float, deps: Deps, *, queued: bool) -> Job:
    """Make what is missing of the job's images; the job returned is in a final state."""
    now = deps.clock.now()
    if job.runs > MAX_RUNS:
        return job.failed(now, ServiceError.code, "the job could not be run")
    limit = deadline - RESERVE_SECONDS
    if deps.generation_timeout:
        limit = min(limit, job.created_at + deps.generation_timeout)
        if not job.begun and now >= job.created_at + deps.generation_timeout:
            return job.failed(now, GenerationTimeout.code, "the time for this generation has passed")
    try:
        job = _with_prompt(job, deps)
        for index in range(len(job.images), job.request.n):
            job = make_image(job, index, limit, deps, queued=queued)
            if index + 1 < job.request.n:
                _save(job, deps)
    except JobFailed as failed:
        error = failed.error
        return failed.job.failed(
            deps.clock.now(), error.code, error.detail, error.errors[0].field if error.errors else ""
        )
    return job.completed(deps.clock.now())


def _with_prompt(job: Job, deps: Deps) -> Job:
    """The job with the prompt its providers are to get, shortened where it is long and the client allows it."""
    prompt = job.request.prompt
    if job.prompt or not (job.request.optimize_prompt and is_long(prompt)):
        return job
    engines, before = deps.engines, job.rewriting or Rewriting()
    if job.rewriting:  # what an interrupted run has begun, and perhaps paid: it is not paid again
        engines = tuple(engine for engine in engines if not engine.price)
    elif guessed := sum(guess(engine, prompt) for engine in engines):
        said = "a run was interrupted while the prompt was being shortened, which may have been charged"
        _save(replace(job, rewriting=Rewriting(warnings=(said,), lost_usd=guessed)), deps)
    short = optimize(prompt, engines, deps.clock)
    for bill in short.bills:
        if bill.cost_usd:
            deps.meter.cost(bill.provider, bill.model, bill.cost_usd)
    done = Rewriting(
        short.method,
        short.engine,
        short.seconds,
        (*before.warnings, *short.warnings),
        short.cost_usd,
        round(before.lost_usd + short.lost_usd, 6),
    )
    job = replace(job, prompt=short.text, rewriting=done)
    _save(job, deps)
    return job


def _save(job: Job, deps: Deps) -> None:
    if not deps.jobs.save(job):
        raise TakenOver

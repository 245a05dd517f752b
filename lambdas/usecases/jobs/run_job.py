"""Run a job: claim it, make its images, and end it exactly once."""

from __future__ import annotations

import math
import random
from contextlib import suppress
from dataclasses import replace

from lambdas.domain.errors import GenerationTimeout, ServiceError, Unavailable
from lambdas.domain.jobs.job import COMPLETED, Job, Rewriting
from lambdas.domain.limits import slots
from lambdas.usecases.deps import Deps
from lambdas.usecases.images.make_image import make_image
from lambdas.usecases.images.outcomes import Failed, Made, NoRoom, StillWorking
from lambdas.usecases.jobs.save import TakenOver, save
from lambdas.usecases.prompts.optimize import guess, is_long, optimize
from lambdas.usecases.webhooks.announce import announce

LEASE_SECONDS = 20.0  # an abandoned job can be taken over after this
BEAT_SECONDS = 5.0  # between two renewals of the lease
MAX_RUNS = 5  # a job whose runs died this often is failed
RESERVE_SECONDS = 3.0  # kept back from the deadline to store what came


def run_job(
    tenant: str, job_id: str, deadline: float, deps: Deps, *, watchdog: bool = False, queued: bool = False
) -> Job | None:
    """Run the job if no other run holds it. Returns it as it stands then; `None` for an unknown job.

    Safe to call at any time, any number of times: a claim lets one run through, and every write is refused once
    another run has claimed the job. `deadline` in Unix seconds.

    A job goes back to the queue in three cases: no provider has room; a job from the queue (`queued`) reaches no
    provider, for RESTART_SECONDS; a provider works on and will notify of completion. In the first two a delayed
    message is sent, except by a `watchdog` message, whose successor is under way; in the third the notice brings it.
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
            outcome = _work(job, deadline, deps, queued=queued)
        if not isinstance(outcome, Job):
            _release(outcome, deps, watchdog=watchdog)
            return deps.jobs.get(tenant, job_id)
        job = outcome
        if not deps.jobs.finish(job):
            raise TakenOver
    except TakenOver:
        return deps.jobs.get(tenant, job_id)
    announce(job, deps)
    deps.meter.job(job)
    if job.status == COMPLETED and job.cache_key:
        with suppress(Unavailable):  # the job has ended all the same
            deps.jobs.remember(job)
    return job


def _release(outcome: NoRoom | StillWorking, deps: Deps, *, watchdog: bool) -> None:
    """Give the job back; one without room is queued again, one still worked on is by the notice of its end."""
    job = outcome.job
    if deps.jobs.release(job) and isinstance(outcome, NoRoom) and not watchdog:
        pause = slots.pause(job.released + 1, random.random())
        delay = pause if outcome.until is None else max(1, math.ceil(outcome.until - deps.clock.now()))
        deps.queue.send(job.tenant, job.id, watchdog=False, delay=delay)


def _work(job: Job, deadline: float, deps: Deps, *, queued: bool) -> Job | NoRoom | StillWorking:
    """Make what is missing of the job's images; a job returned is in a final state."""
    now = deps.clock.now()
    if job.runs > MAX_RUNS:
        return job.failed(now, ServiceError.code, "the job could not be run")
    limit = deadline - RESERVE_SECONDS
    if deps.generation_timeout:
        limit = min(limit, job.created_at + deps.generation_timeout)
        if not job.begun and now >= job.created_at + deps.generation_timeout:
            return job.failed(now, GenerationTimeout.code, "the time for this generation has passed")
    job = _with_prompt(job, deps)
    for index in range(len(job.images), job.request.n):
        match make_image(job, index, limit, deps, queued=queued):
            case Made(job=made):
                job = made
            case Failed(job=tried, error=error):
                field = error.errors[0].field if error.errors else ""
                return tried.failed(deps.clock.now(), error.code, error.detail, field)
            case unfinished:
                return unfinished
        if index + 1 < job.request.n:
            save(job, deps)
    return job.completed(deps.clock.now())


def _with_prompt(job: Job, deps: Deps) -> Job:
    """Shorten a long prompt for the providers, if the client allows it."""
    prompt = job.request.prompt
    if job.prompt or not (job.request.optimize_prompt and is_long(prompt)):
        return job
    engines, before = deps.engines, job.rewriting or Rewriting()
    if job.rewriting:  # an interrupted run has called the paid engines: they are not called again
        engines = tuple(engine for engine in engines if not engine.price)
    elif guessed := sum(guess(engine, prompt) for engine in engines):
        said = "a run was interrupted while the prompt was being shortened, which may have been charged"
        save(replace(job, rewriting=Rewriting(warnings=(said,), lost_usd=guessed)), deps)
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
    save(job, deps)
    return job

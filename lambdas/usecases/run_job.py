"""Do a job's work: ask the provider, keep what it gave, and end the job once."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event, Thread

from lambdas.domain import catalogue, ids, routing, sizes
from lambdas.domain.catalogue import ModelCard
from lambdas.domain.errors import (
    FAILURES,
    ContentRefused,
    GenerationTimeout,
    OutcomeUnknown,
    ProviderFailure,
    ProvidersFailed,
    ServiceError,
)
from lambdas.domain.jobs import Attempt, Job, StoredImage
from lambdas.domain.requests import EXTENSIONS, MEDIA_TYPES, Painted
from lambdas.usecases.deps import Deps

LEASE_SECONDS = 20.0  # an abandoned job can be taken over after this
BEAT_SECONDS = 5.0
MAX_RUNS = 5  # a job that has killed this many workers is given up
MAX_TRIES = 3  # of one image at one provider, where a try surely cost nothing
RESERVE_SECONDS = 3.0  # kept back from the deadline to store what came


class _TakenOver(Exception):
    """Another run holds the job now; this one must not touch it any more."""


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
            raise _TakenOver
    except _TakenOver:
        return deps.jobs.get(tenant, job_id)
    deps.meter.job(job.status, job.images)
    return job


def _work(job: Job, deadline: float, deps: Deps) -> Job:
    """Make what is missing of the job's images; the job returned is in a final state."""
    card = catalogue.card(job.model)
    if card is None or job.fence > MAX_RUNS:
        return job.failed(deps.clock.now(), ServiceError.code, "the job could not be run")
    limits = [deadline - RESERVE_SECONDS, deps.clock.now() + card.max_seconds]
    if deps.generation_timeout:
        limits.append(job.created_at + deps.generation_timeout)
    try:
        for index in range(len(job.images), job.request.n):
            job, painted = _paint(job, card, index, min(limits), deps)
            job = _store(job, card, index, painted, deps)
    except _Failed as failed:
        return failed.job.failed(deps.clock.now(), failed.error.code, failed.error.detail)
    return job.completed(deps.clock.now())


class _Failed(Exception):
    def __init__(self, job: Job, error: ServiceError) -> None:
        super().__init__(error.detail)
        self.job = job
        self.error = error


def _raw_key(job: Job, index: int) -> str:
    return f"raw/{job.tenant}/{job.id}/{index}"


def _paint(job: Job, card: ModelCard, index: int, limit: float, deps: Deps) -> tuple[Job, Painted]:
    """Get one image's bytes: those an interrupted run left in the bucket, or new ones from the provider."""
    last = job.attempts[-1] if job.attempts else None
    if last and last.outcome == "unknown" and last.image == index and card.price_usd > 0:
        data = deps.blobs.get(_raw_key(job, index))
        if data is None:
            message = "a run was interrupted during a paid call whose outcome is not known; it was not repeated"
            raise _Failed(job, OutcomeUnknown(message))
        return _settled(job, replace(last, outcome="success", cost_usd=card.price_usd)), Painted(data)
    order = routing.order(job.request, card, job.seed, index)
    provider = deps.providers.get(card.provider)
    for attempt_no in range(1, MAX_TRIES + 1):
        began = deps.clock.now()
        if began >= limit:
            raise _Failed(job, GenerationTimeout("the time for this generation has passed"))
        attempt = Attempt(card.provider, card.id, image=index, started_at=began)
        job = replace(job, attempts=(*job.attempts, attempt))
        _save(job, deps)  # the intent is on record before anything is paid
        try:
            painted = provider.paint(order, limit - began)
        except ProviderFailure as failure:
            job = _settled(job, _failed_attempt(attempt, failure, deps.clock.now() - began))
            deps.meter.attempt(card.provider, card.id, job.attempts[-1].outcome, deps.clock.now() - began)
            wait = _wait(failure, attempt_no)
            if wait is None or deps.clock.now() + wait >= limit:
                raise _Failed(job, _error_of(failure, card)) from failure
            deps.clock.sleep(wait)
            continue
        if card.price_usd > 0:
            deps.blobs.put(_raw_key(job, index), painted.data, "application/octet-stream")
        took = deps.clock.now() - began
        deps.meter.attempt(card.provider, card.id, "success", took)
        done = replace(attempt, outcome="success", duration=took, cost_usd=card.price_usd)
        return _settled(job, done), painted
    raise AssertionError("the last try either returned or raised")


def _settled(job: Job, attempt: Attempt) -> Job:
    return replace(job, attempts=(*job.attempts[:-1], attempt))


def _failed_attempt(attempt: Attempt, failure: ProviderFailure, took: float) -> Attempt:
    outcome = "failed"
    if failure.code == "content_policy":
        outcome = "refused"
    elif failure.paid == "unknown" and failure.code in ("timeout", "outcome_unknown"):
        outcome = "unknown"
    return replace(attempt, outcome=outcome, error_code=failure.code, duration=took)


def _wait(failure: ProviderFailure, attempt_no: int) -> float | None:
    """Seconds until the next try: the provider's own hint, else full jitter; `None` where none is due."""
    if not FAILURES[failure.code] or failure.paid != "no" or attempt_no >= MAX_TRIES:
        return None
    if failure.retry_after is not None:
        return failure.retry_after
    return random.uniform(0, 0.5 * 2**attempt_no)


def _error_of(failure: ProviderFailure, card: ModelCard) -> ServiceError:
    said = f"{card.provider}: {failure.detail}"
    if failure.code == "content_policy":
        return ContentRefused(said)
    if failure.code == "timeout":
        return GenerationTimeout(said)
    if failure.code == "outcome_unknown":
        return OutcomeUnknown(said)
    return ProvidersFailed(said)


def _store(job: Job, card: ModelCard, index: int, painted: Painted, deps: Deps) -> Job:
    """Check the picture, bring it to the promised size and format, and put it in its place."""
    request = job.request
    size = sizes.plan(card, request.width, request.height)
    try:
        picture, came = deps.pictures.fit(painted.data, size.final, request.format)
    except ProviderFailure as failure:
        spoilt = replace(job.attempts[-1], outcome="failed", error_code=failure.code)
        raise _Failed(_settled(job, spoilt), _error_of(failure, card)) from failure
    extension = EXTENSIONS[request.format]
    image_id = ids.image_id(job.id, index)
    name = f"{image_id}.{extension}"
    key = f"images/{job.tenant}/{request.project_id}/{card.provider}/{name}"
    deps.blobs.put(key, picture, MEDIA_TYPES[extension])
    image = StoredImage(
        id=image_id,
        name=name,
        key=key,
        job_id=job.id,
        project_id=request.project_id,
        provider=card.provider,
        width=size.final[0],
        height=size.final[1],
        format=request.format,
        bytes=len(picture),
        seed=routing.order(request, card, job.seed, index).seed if painted.seed is None else painted.seed,
        created_at=deps.clock.now(),
    )
    job = replace(job, images=(*job.images, image), sizing=size.note(came))
    if index + 1 < request.n:
        _save(job, deps)
    return job


def _save(job: Job, deps: Deps) -> None:
    if not deps.jobs.save(job):
        raise _TakenOver


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

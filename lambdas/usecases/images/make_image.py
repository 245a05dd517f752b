"""Make one of a job's images: ask the planned models in order, and store what the first good one gave."""

from __future__ import annotations

import random
from dataclasses import dataclass

from lambdas.domain import catalogue
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import FieldError, GenerationTimeout, NoneAvailable, ServiceError
from lambdas.domain.failures import CONSEQUENCES, Failure, ProviderFailure
from lambdas.domain.jobs.job import Job
from lambdas.domain.limits import slots
from lambdas.domain.routing.health import free_at
from lambdas.usecases.deps import Deps
from lambdas.usecases.images.attempt import POLL_SECONDS, ask_model
from lambdas.usecases.images.candidates import availability, may_ask_next, remaining_models
from lambdas.usecases.images.outcomes import Failed, Made, NoRoom, NotMade, StillWorking
from lambdas.usecases.images.resume import resume

# How long after it was accepted a job from the queue is tried again because its providers cannot be reached, as
# while the only one restarts: the ends of the first cooldowns, of 15 and 30 s, are within it.
RESTART_SECONDS = 75.0
# How long a run waits, between these bounds, for room at a provider until it gives back a job that it has not begun.
ROOM_SECONDS = (4.0, 8.0)

Outcome = Made | Failed | NoRoom | StillWorking


@dataclass(frozen=True, slots=True)
class _Round:
    """All models were asked, and none gave the image: the last failure, and the models that had no room."""

    job: Job
    failure: ProviderFailure | None
    full: list[ModelCard]


def make_image(job: Job, index: int, limit: float, deps: Deps, *, queued: bool) -> Outcome:
    """Make image number `index` before `limit` (Unix seconds). `queued`: no client waits for the answer.

    NoRoom is only of a job of which nothing is begun. Raises TakenOver.
    """
    resumed = resume(job, index, limit, deps)
    if not isinstance(resumed, NotMade):
        return resumed
    job, failure = resumed.job, resumed.failure
    cards = [card for card in map(catalogue.card, remaining_models(job, index, failure)) if card]
    patience = deps.clock.now() + random.uniform(*ROOM_SECONDS)
    while True:
        asked = _ask_models(job, cards, index, limit, deps)
        if not isinstance(asked, _Round):
            return asked
        job, failure = asked.job, asked.failure or failure
        if not asked.full:
            until = _retry_at(job, cards, failure, deps) if queued else None
            return NoRoom(job, until) if until else Failed(job, _error_of(failure, job))
        now, pause = deps.clock.now(), random.uniform(*POLL_SECONDS)
        if not job.begun and now + pause > min(patience, limit):
            return NoRoom(job)
        deps.clock.sleep(min(pause, max(0.0, limit - now)))
        cards = asked.full


def _ask_models(
    job: Job, cards: list[ModelCard], index: int, limit: float, deps: Deps
) -> Made | Failed | StillWorking | _Round:
    """Ask the models in order until one gives the image, or fails in a way that excludes the others."""
    failure: ProviderFailure | None = None
    full: list[ModelCard] = []
    for position, card in enumerate(cards):
        if availability(card, deps) == "no":
            continue
        if deps.clock.now() >= limit:
            return Failed(job, GenerationTimeout("the time for this generation has passed"))
        others = sum(availability(other, deps) != "no" for other in cards[position + 1 :])
        outcome = ask_model(job, card, index, limit, deps, others=others)
        job = outcome.job
        match outcome:
            case NoRoom():
                full.append(card)
            case NotMade(failure=failed):
                failure = failed or failure
                if failed and not may_ask_next(failed, job, index):
                    return _Round(job, failure, [])
            case Made() | Failed() | StillWorking():
                return outcome
    return _Round(job, failure, full)


def _retry_at(job: Job, cards: list[ModelCard], failure: ProviderFailure | None, deps: Deps) -> float | None:
    """When a job is tried again all of whose providers rest or could not be reached; `None` where it is not."""
    reached = failure is not None and failure.code != Failure.UNAVAILABLE
    if reached or job.begun or not cards:
        return None
    now, healths = deps.clock.now(), deps.health.snapshot()
    free = min(free_at(healths[card.provider], now, card.id) if card.provider in healths else now for card in cards)
    until = max(free, now + slots.pause(job.released + 1, random.random()))
    return until if until < job.created_at + RESTART_SECONDS else None


def _error_of(failure: ProviderFailure | None, job: Job) -> ServiceError:
    if failure is None:
        return NoneAvailable("every provider that could do this is resting after failures")
    said = f"{job.attempts[-1].provider}: {failure.detail}"
    wrong = (FieldError(failure.field, said),) if failure.field else ()
    return CONSEQUENCES[failure.code].error(said, errors=wrong)

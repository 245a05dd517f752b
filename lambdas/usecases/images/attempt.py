"""Ask one model for an image: a slot at its provider, the call, and what is repeated of it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from lambdas.domain import ids
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import InvalidRequest
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.job import Attempt, Job
from lambdas.domain.jobs.request import GeneratedImage, ImageTask, Ticket
from lambdas.domain.limits import slots
from lambdas.domain.routing import planning
from lambdas.usecases.deps import Deps
from lambdas.usecases.images import candidates
from lambdas.usecases.images.ask_provider import MAX_STAY_SECONDS, MAX_TRIES, AnyProvider, ask, may_leave, retry_wait
from lambdas.usecases.images.outcomes import CutOut, Failed, Made, NoRoom, NotMade, StillWorking
from lambdas.usecases.images.rendering import rendering_of
from lambdas.usecases.images.store_image import settle, store_image, store_unread_answer
from lambdas.usecases.jobs.save import save

POLL_SECONDS = (0.5, 1.5)  # between two looks for a free slot; jittered, so that waiting runs do not all look at once


@dataclass(frozen=True, slots=True)
class Answered:
    """The provider's answer, which is not stored yet."""

    job: Job
    image: GeneratedImage


def ask_model(
    job: Job, card: ModelCard, index: int, limit: float, deps: Deps, *, others: int
) -> Made | NotMade | NoRoom | StillWorking | Failed:
    """Ask the model for image `index` before `limit` (Unix seconds), and before that what its image is made from.

    `others` counts the models that may be asked after this one: only the last one is waited for while it is busy.
    NotMade without a failure: another worker holds the provider's recovery probe.
    """
    for step in rendering_of(job.request).steps(job, card):
        outcome = _try_model(job, step, index, limit, deps, others)
        if not isinstance(outcome, CutOut):
            return outcome
        job = outcome.job
    raise AssertionError("the last step gives an image or fails")


def _try_model(
    job: Job, card: ModelCard, index: int, limit: float, deps: Deps, others: int
) -> Made | CutOut | NotMade | NoRoom | StillWorking | Failed:
    provider = deps.providers.get(card.provider)
    failed: NotMade | None = None
    for number in range(1, MAX_TRIES + 1):
        call = ids.call_id(job.id, index, card.id, calls_of(job, card, index))
        until = _acquire_slot(job, card, call, limit, deps, others, wait=number > 1)
        if until is None:
            return failed or NoRoom(job)
        try:
            if number == 1 and not candidates.claim_call(card, deps):
                return NotMade(job)
            called = _call(job, card, provider, index, until, deps)
            if isinstance(called, Answered):
                return store_image(called.job, card, index, called.image, deps)
        finally:
            deps.slots.release(card.provider, call)  # once the bytes are safe
        if not isinstance(called, NotMade) or called.failure is None:
            return called
        job = settle(called.job, called.failure, deps)
        failed = NotMade(job, called.failure)
        wait = None if others else retry_wait(called.failure, number)
        if wait is None or deps.clock.now() + wait >= limit:
            return failed
        deps.clock.sleep(wait)
    raise AssertionError("the last try has returned")


def _call(
    job: Job, card: ModelCard, provider: AnyProvider, index: int, until: float, deps: Deps
) -> Answered | NotMade | StillWorking | Failed:
    """One call, put on record before it is made. A failure is not settled yet."""
    began = deps.clock.now()
    leave = min(until, began + MAX_STAY_SECONDS) if may_leave(provider) else until
    begun = replace(job, attempts=(*job.attempts, Attempt(card.provider, card.id, image=index, started_at=began)))

    def accepted(ticket: Ticket) -> None:
        nonlocal begun
        last = replace(begun.attempts[-1], ticket=ticket.id)
        if ticket.cost_usd is not None:
            last = replace(last, cost_usd=ticket.cost_usd, paid="yes")
        begun = replace(begun, attempts=(*begun.attempts[:-1], last))
        save(begun, deps, retry=True)

    try:
        task = image_task(job, card, index, deps, number=calls_of(job, card, index))
        save(begun, deps, retry=card.price_usd > 0)  # the intent is on record before anything is paid
        image = ask(provider, task, leave, deps.clock, accepted)
    except InvalidRequest as error:
        return Failed(job, error)
    except ProviderFailure as failure:
        if failure.code == Failure.TIMEOUT and begun.attempts[-1].ticket and leave <= deps.clock.now() < until:
            return StillWorking(begun)
        store_unread_answer(begun, failure, deps)
        return NotMade(begun, failure)
    return Answered(begun, image)


def _acquire_slot(
    job: Job, card: ModelCard, call: str, limit: float, deps: Deps, others: int, *, wait: bool
) -> float | None:
    """Take a slot for the call; returns until when it may last, or `None`. `wait`: for a free one, up to the limit."""
    while True:
        now = deps.clock.now()
        until = min(limit, now + candidates.patience(card, others))
        if now < limit and deps.slots.acquire(card.provider, call, job.tenant, now, until + slots.MARGIN):
            return until
        if now >= limit or not wait:
            return None
        deps.clock.sleep(min(random.uniform(*POLL_SECONDS), limit - now))


def image_task(job: Job, card: ModelCard, index: int, deps: Deps, *, number: int) -> ImageTask:
    """The task of this image at this model; `number` counts this model's calls for it, from 0.

    Raises InvalidRequest and ProviderFailure.
    """
    request = job.request
    task = planning.image_task(request, card, job.seed, index)
    task = replace(task, task=request.task, reference_type=request.reference_type)
    task = rendering_of(request).prepare(task, job, deps)
    return replace(
        task,
        prompt=job.prompt or task.prompt,
        id=ids.call_id(job.id, index, card.id, number),
        owner=f"{job.tenant}/{job.id}",
    )


def calls_of(job: Job, card: ModelCard, index: int) -> int:
    """How many calls of this model there were for the image."""
    return sum(1 for attempt in job.attempts if attempt.model == card.id and attempt.image == index)

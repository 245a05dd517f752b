"""Take up what an interrupted run left of an image: stored bytes, accepted work, or a call of unknown outcome."""

from __future__ import annotations

from lambdas.domain import catalogue, ids
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import InvalidRequest
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import Ticket
from lambdas.usecases.deps import Deps
from lambdas.usecases.images import candidates
from lambdas.usecases.images.ask_provider import AnyProvider, collect, may_collect, may_leave
from lambdas.usecases.images.attempt import calls_of, image_task
from lambdas.usecases.images.outcomes import CutOut, Failed, Made, NotMade, StillWorking
from lambdas.usecases.images.store_image import settle, store_image, store_unread_answer, stored_answer


def resume(job: Job, index: int, limit: float, deps: Deps) -> Made | NotMade | StillWorking | Failed:
    """End the last attempt, if a run was interrupted in it. Nothing is called that may be paid again."""
    last = job.attempts[-1] if job.attempts else None
    if last is None or last.outcome != "unknown" or last.error_code:
        return NotMade(job)
    card = catalogue.card(last.model)
    if card is None:
        return _lost(job, None, deps)
    answer = stored_answer(job, deps)
    if answer is not None:
        image, paid = answer
        deps.slots.release(card.provider, _call_id(job, card, index))
        if paid == "yes":
            return _next(store_image(job, card, index, image, deps, resumed=True))
        unread = ProviderFailure(Failure.BAD_ANSWER, "what was answered could not be read", paid=paid)
        return NotMade(settle(job, unread, deps, resumed=True), unread)
    provider = deps.providers.get(card.provider)
    if may_collect(provider, last.ticket):
        return _collect(job, card, provider, index, limit, deps)
    return _lost(job, card, deps)


def _collect(
    job: Job, card: ModelCard, provider: AnyProvider, index: int, limit: float, deps: Deps
) -> Made | NotMade | StillWorking | Failed:
    """The image of work that the provider has accepted."""
    last = job.attempts[-1]
    leaves, until = may_leave(provider), limit
    if leaves:
        until = min(limit, last.started_at + candidates.patience(card, candidates.unasked(job, index)))
    try:
        task = image_task(job, card, index, deps, number=calls_of(job, card, index) - 1)
        ticket = Ticket(last.ticket or task.id, last.cost_usd if last.paid == "yes" else None)
        image = collect(provider, ticket, task, deps.clock.now() if leaves else until, deps.clock)
    except InvalidRequest as error:
        return Failed(job, error)
    except ProviderFailure as failure:
        if leaves and failure.code == Failure.TIMEOUT and deps.clock.now() < until:
            return StillWorking(job)
        store_unread_answer(job, failure, deps)
        return NotMade(settle(job, failure, deps, resumed=True), failure)
    finally:
        deps.slots.release(card.provider, _call_id(job, card, index))  # which the interrupted run could not
    return _next(store_image(job, card, index, image, deps, resumed=True))


def _next(stored: Made | CutOut | NotMade) -> Made | NotMade:
    """After a cut-out the models are asked as if none had been."""
    return NotMade(stored.job) if isinstance(stored, CutOut) else stored


def _lost(job: Job, card: ModelCard | None, deps: Deps) -> NotMade:
    """The call's end is not known. A free one is made again."""
    lost = ProviderFailure(Failure.OUTCOME_UNKNOWN, "a run was interrupted during the call", paid="unknown")
    free = card is not None and card.price_usd == 0
    return NotMade(settle(job, lost, deps, resumed=True), None if free else lost)


def _call_id(job: Job, card: ModelCard, index: int) -> str:
    return ids.call_id(job.id, index, card.id, calls_of(job, card, index) - 1)

"""Make one of a job's images: ask the planned models in order, and keep what the first good one gave."""

from __future__ import annotations

import random
from dataclasses import replace

from lambdas.domain import catalogue, ids
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import (
    FieldError,
    GenerationTimeout,
    InvalidRequest,
    NoneAvailable,
    ServiceError,
    TooLarge,
)
from lambdas.domain.failures import CONSEQUENCES, Failure, ProviderFailure
from lambdas.domain.jobs.job import Attempt, Job
from lambdas.domain.jobs.request import BACKGROUND, ImageTask, Ticket
from lambdas.domain.limits import slots
from lambdas.domain.routing import planning
from lambdas.domain.routing.health import free_at
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.ask_provider import (
    MAX_TRIES,
    STAY_SECONDS,
    ask,
    collect,
    may_collect,
    may_leave,
    wait_before_retry,
)
from lambdas.usecases.jobs.candidates import claim_call, may_ask_next, remaining_models, state
from lambdas.usecases.jobs.product_background import background_remover_of, staged
from lambdas.usecases.jobs.store_image import keep, keep_answer, kept, settle
from lambdas.usecases.retry import retry_while_unavailable

# How long a model may take while others wait for their turn: some of its usual times over, within these bounds.
PATIENCE = 2.5
PATIENCE_SECONDS = (10.0, 60.0)
# How long after it was accepted a job that nobody waits for is tried again because its providers cannot be reached, as
# while the only one restarts: the ends of the first cooldowns, of 15 and 30 s, are within it.
RESTART_SECONDS = 75.0
# How long a run waits, between these bounds, for room at a provider until it gives back a job that it has not begun,
# and how long it waits between two looks. Jittered, so that those who wait do not all look at once.
ROOM_SECONDS = (4.0, 8.0)
LOOK_SECONDS = (0.5, 1.5)


class TakenOver(Exception):
    """Another run holds the job now; this one must not touch it any more."""


class JobFailed(Exception):
    """The job cannot be done: `error` is for the client, `job` as it stands with its attempts."""

    def __init__(self, job: Job, error: ServiceError) -> None:
        super().__init__(error.detail)
        self.job = job
        self.error = error


class NoRoom(Exception):
    """Every provider that could be asked is at its cap, or cannot be reached just now. `job` as it stands.

    `until`: when one may be asked again (Unix seconds), where that is known.
    """

    def __init__(self, job: Job, until: float | None = None) -> None:
        super().__init__(job.id)
        self.job = job
        self.until = until


class StillWorking(Exception):
    """A provider that tells when it is done has taken the work, and this run need not wait. `job` as it stands."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.id)
        self.job = job


def make_image(job: Job, index: int, limit: float, deps: Deps, *, queued: bool) -> Job:
    """The job with its image number `index`. `limit` in Unix seconds; `queued`: no client waits for its answer.

    Raises JobFailed, TakenOver, StillWorking and, for a job of which nothing is begun, NoRoom.
    """
    job, failure = _resumed(job, index, limit, deps)
    if len(job.images) > index:
        return job
    cards = [card for card in map(catalogue.card, remaining_models(job, index, failure)) if card]
    patience = deps.clock.now() + random.uniform(*ROOM_SECONDS)
    while True:
        job, failed, full = _asked(job, cards, index, limit, deps)
        failure = failed or failure
        if len(job.images) > index:
            return job
        if not full and queued and (until := _back_at(job, cards, failure, deps)):
            raise NoRoom(job, until)
        if not full:
            raise JobFailed(job, _error_of(failure, job))
        _wait_for_room(job, patience, limit, deps)
        cards = full


def _asked(
    job: Job, cards: list[ModelCard], index: int, limit: float, deps: Deps
) -> tuple[Job, ProviderFailure | None, list[ModelCard]]:
    """Ask the models in order until one gives the image, or fails in a way that no other cures.

    Returns also the last failure, and the models that had no room.
    """
    failure: ProviderFailure | None = None
    full: list[ModelCard] = []
    for position, card in enumerate(cards):
        if state(card, deps) == "no":
            continue
        if deps.clock.now() >= limit:
            raise JobFailed(job, GenerationTimeout("the time for this generation has passed"))
        others = sum(state(other, deps) != "no" for other in cards[position + 1 :])
        try:
            job, failed = _tried(job, card, index, limit, deps, others=others)
        except NoRoom as at_cap:
            job = at_cap.job
            full.append(card)
            continue
        failure = failed or failure
        if len(job.images) > index or (failed and not may_ask_next(failed, job, index)):
            return job, failure, []
    return job, failure, full


def _back_at(job: Job, cards: list[ModelCard], failure: ProviderFailure | None, deps: Deps) -> float | None:
    """When the job is tried again, all of whose providers rest or could not be reached; `None` where it is not."""
    reached = failure is not None and not (failure.code == Failure.UNAVAILABLE and failure.paid == "no")
    if reached or job.begun or not cards:
        return None
    now, healths = deps.clock.now(), deps.health.snapshot()
    free = min(free_at(healths[card.provider], now, card.id) if card.provider in healths else now for card in cards)
    until = max(free, now + slots.pause(job.released + 1, random.random()))
    return until if until < job.created_at + RESTART_SECONDS else None


def _wait_for_room(job: Job, patience: float, limit: float, deps: Deps) -> None:
    """Wait a moment. Raises NoRoom once `patience` is over for a job that can be begun later as well as now."""
    now = deps.clock.now()
    moment = random.uniform(*LOOK_SECONDS)
    if not job.begun and now + moment > min(patience, limit):
        raise NoRoom(job)
    deps.clock.sleep(min(moment, max(0.0, limit - now)))


def _resumed(job: Job, index: int, limit: float, deps: Deps) -> tuple[Job, ProviderFailure | None]:
    """Take up what an interrupted run left: stored bytes, work that a provider still holds, or an unknown call."""
    last = job.attempts[-1] if job.attempts else None
    if last is None or last.image != index or last.outcome != "unknown" or last.error_code:
        return job, None
    lost = ProviderFailure(Failure.OUTCOME_UNKNOWN, "a run was interrupted during the call", paid="unknown")
    card = catalogue.card(last.model)
    if card is None:
        return settle(job, lost, deps, resumed=True), lost
    found = kept(job, deps)
    if found is not None:
        painted, paid = found
        deps.slots.release(card.provider, ids.call_id(job.id, index, card.id, _count(job, card, index) - 1))
        if paid == "yes":
            return keep(job, card, index, painted, deps, resumed=True)
        unread = ProviderFailure(Failure.BAD_ANSWER, "what was answered could not be read", paid=paid)
        return settle(job, unread, deps, resumed=True), unread
    provider = deps.providers.get(card.provider)
    if may_collect(provider, last.ticket):
        number = _count(job, card, index) - 1
        leaves = may_leave(provider)
        until = min(limit, last.started_at + _patience(card, _others(job, index))) if leaves else limit
        try:
            order = _order(job, card, index, deps, number=number)
            ticket = Ticket(last.ticket or order.id, last.cost_usd if last.paid == "yes" else None)
            painted = collect(provider, ticket, order, deps.clock.now() if leaves else until, deps.clock)
        except ProviderFailure as failure:
            if leaves and failure.code == Failure.TIMEOUT and deps.clock.now() < until:
                raise StillWorking(job) from None
            keep_answer(job, failure, deps)
            job = settle(job, failure, deps, resumed=True)
            return job, failure
        finally:
            # which the interrupted run could not
            deps.slots.release(card.provider, ids.call_id(job.id, index, card.id, number))
        return keep(job, card, index, painted, deps, resumed=True)
    return settle(job, lost, deps, resumed=True), None if card.price_usd == 0 else lost


def _tried(
    job: Job, card: ModelCard, index: int, limit: float, deps: Deps, *, others: int
) -> tuple[Job, ProviderFailure | None]:
    """One model's tries. Waiting for a busy one is for the last of them: while others are left, they are asked.

    Neither an image nor a failure: another caller tries the provider at the end of its rest. Raises NoRoom.
    """
    if remover := background_remover_of(job, card):
        job, failed = _tried(job, remover, index, limit, deps, others=others)
        if job.cutout is None:
            return job, failed
    provider = deps.providers.get(card.provider)
    failure: ProviderFailure | None = None
    for number in range(1, MAX_TRIES + 1):
        count = _count(job, card, index)
        call = ids.call_id(job.id, index, card.id, count)
        until = _slot(job, card, call, limit, deps, others, patient=number > 1)
        if until is None and failure is None:
            raise NoRoom(job)
        if until is None:
            return job, failure
        began = deps.clock.now()

        def accepted(ticket: Ticket) -> None:
            nonlocal job
            taken = replace(job.attempts[-1], ticket=ticket.id)
            if ticket.cost_usd is not None:
                taken = replace(taken, cost_usd=ticket.cost_usd, paid="yes")
            job = replace(job, attempts=(*job.attempts[:-1], taken))
            _save(job, deps, patient=True)

        try:
            if number == 1 and not claim_call(card, deps):
                return job, None
            before = job
            job = replace(job, attempts=(*job.attempts, Attempt(card.provider, card.id, image=index, started_at=began)))
            order = _order(before, card, index, deps, number=count)
            _save(job, deps, patient=card.price_usd > 0)  # the intent is on record before anything is paid
            stays = min(until, began + STAY_SECONDS) if may_leave(provider) else until
            painted = ask(provider, order, stays, deps.clock, accepted)
        except ProviderFailure as failed:
            if failed.code == Failure.TIMEOUT and job.attempts[-1].ticket and stays <= deps.clock.now() < until:
                raise StillWorking(job) from None
            failure = failed
            keep_answer(job, failure, deps)
        else:
            return keep(job, card, index, painted, deps)
        finally:
            deps.slots.release(card.provider, call)  # once the bytes are safe
        job = settle(job, failure, deps)
        wait = None if others else wait_before_retry(failure, number)
        if wait is None or deps.clock.now() + wait >= limit:
            return job, failure
        deps.clock.sleep(wait)
    raise AssertionError("the last try either returned or failed")


def _slot(
    job: Job, card: ModelCard, call: str, limit: float, deps: Deps, others: int, *, patient: bool
) -> float | None:
    """Take a slot for the call: until when it may last; `None` where there is no room, if `patient` until the limit."""
    while True:
        now = deps.clock.now()
        until = min(limit, now + _patience(card, others))
        if now < limit and deps.slots.acquire(card.provider, call, job.tenant, now, until + slots.MARGIN):
            return until
        if now >= limit or not patient:
            return None
        deps.clock.sleep(min(random.uniform(*LOOK_SECONDS), limit - now))


def _order(job: Job, card: ModelCard, index: int, deps: Deps, *, number: int) -> ImageTask:
    """The order for this image at this model; `number` counts this model's calls for it, from 0."""
    order = planning.order(job.request, card, job.seed, index)
    reference, media_type = None, job.request.reference_type
    if job.request.task == BACKGROUND:
        try:
            order = staged(order, job, deps)
        except InvalidRequest as error:
            raise JobFailed(job, error) from None
        reference = order.reference
    elif job.request.reference_key and card.references:
        reference, media_type = _reference(job, card, deps)
    return replace(
        order,
        prompt=job.prompt or order.prompt,
        id=ids.call_id(job.id, index, card.id, number),
        owner=f"{job.tenant}/{job.id}",
        reference=reference,
        reference_type=media_type,
    )


def _reference(job: Job, card: ModelCard, deps: Deps) -> tuple[bytes, str]:
    """The image to start from, as large as the model needs it, and its media type. Raises JobFailed."""

    def failed(said: str) -> JobFailed:
        return JobFailed(job, InvalidRequest(said, errors=(FieldError(job.request.reference_field, said),)))

    sent = deps.blobs.get(job.request.reference_key or "")
    if sent is None:
        raise failed("the reference image is no longer there")
    if not card.reference_side:
        return sent, job.request.reference_type
    try:
        image = deps.pictures.at_least(sent, card.reference_side)
    except TooLarge as error:
        raise failed(error.detail) from None
    return image, job.request.reference_type if image is sent else "image/png"


def _count(job: Job, card: ModelCard, index: int) -> int:
    return sum(1 for a in job.attempts if a.model == card.id and a.image == index)


def _others(job: Job, index: int) -> int:
    """How many of the planned models have not been asked for this image."""
    return len(set(job.plan) - {attempt.model for attempt in job.attempts if attempt.image == index})


def _patience(card: ModelCard, others: int) -> float:
    if not others:
        return card.max_seconds
    return min(card.max_seconds, max(PATIENCE_SECONDS[0], min(PATIENCE_SECONDS[1], PATIENCE * card.typical_seconds)))


def _save(job: Job, deps: Deps, *, patient: bool) -> None:
    """`patient`: where giving up would leave a call on record of which nobody knows whether it was made and paid."""
    saved = retry_while_unavailable(lambda: deps.jobs.save(job), deps.clock) if patient else deps.jobs.save(job)
    if not saved:
        raise TakenOver


def _error_of(failure: ProviderFailure | None, job: Job) -> ServiceError:
    if failure is None:
        return NoneAvailable("every provider that could do this is resting after failures")
    said = f"{job.attempts[-1].provider}: {failure.detail}"
    wrong = (FieldError(failure.field, said),) if failure.field else ()
    return CONSEQUENCES[failure.code].error(said, errors=wrong)

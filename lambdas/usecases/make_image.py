"""Make one of a job's images: ask the planned models in order, and keep what the first good one gave."""

from __future__ import annotations

from dataclasses import replace

from lambdas.domain import catalogue, fallback, ids, routing, sizes
from lambdas.domain.errors import (
    ContentRefused,
    GenerationTimeout,
    InvalidRequest,
    NoneAvailable,
    OutcomeUnknown,
    ProviderFailure,
    ProvidersFailed,
    ServiceError,
)
from lambdas.domain.health import may_call
from lambdas.domain.jobs import Attempt, Job, StoredImage
from lambdas.domain.model_card import ModelCard
from lambdas.domain.requests import EXTENSIONS, MEDIA_TYPES, Order, Painted, Ticket
from lambdas.usecases.ask_provider import MAX_TRIES, ask, collect, may_collect, wait_before_retry
from lambdas.usecases.deps import Deps

# How long a model may take while others wait for their turn: some of its usual times over, within these bounds.
PATIENCE = 2.5
PATIENCE_SECONDS = (10.0, 60.0)


class TakenOver(Exception):
    """Another run holds the job now; this one must not touch it any more."""


class JobFailed(Exception):
    """The job cannot be done: `error` is for the client, `job` as it stands with its attempts."""

    def __init__(self, job: Job, error: ServiceError) -> None:
        super().__init__(error.detail)
        self.job = job
        self.error = error


def make_image(job: Job, index: int, limit: float, deps: Deps) -> Job:
    """The job with its image number `index`. Raises JobFailed and TakenOver. `limit` in Unix seconds."""
    job, failure = _resumed(job, index, limit, deps)
    if len(job.images) > index:
        return job
    cards = [card for card in map(catalogue.card, _models_left(job, index, failure)) if card]
    for position, card in enumerate(cards):
        if not _callable(card, deps):
            continue
        if deps.clock.now() >= limit:
            raise JobFailed(job, GenerationTimeout("the time for this generation has passed"))
        others = sum(_state(other, deps) != "no" for other in cards[position + 1 :])
        job, failure = _tried(job, card, index, limit, deps, others=others)
        if failure is None:
            return job
        if not _cured_elsewhere(failure, job, index):
            break
    raise JobFailed(job, _error_of(failure, job))


def _models_left(job: Job, index: int, failure: ProviderFailure | None) -> list[str]:
    """The planned models to ask for this image: those not asked yet, and after an interrupted run free ones again.

    `failure` is what became of that run's last call, if anything; where it is final, none is left.
    """
    if failure and not _cured_elsewhere(failure, job, index):
        return []
    asked = {attempt.model for attempt in job.attempts if attempt.image == index}
    free = {model for model in asked if (card := catalogue.card(model)) and card.price_usd == 0}
    again = free if failure is None or failure.code == "outcome_unknown" else set()
    return [model for model in job.plan or (job.model,) if model not in asked or model in again]


def _cured_elsewhere(failure: ProviderFailure, job: Job, index: int) -> bool:
    """Whether the next model is asked; calls that may have been paid in vain are counted, and end somewhere."""
    earlier = (a for a in job.attempts[:-1] if a.image == index)
    losses = sum(1 for a in earlier if a.outcome == "unknown" or a.cost_usd > 0)
    return fallback.cures_elsewhere(failure.code, failure.paid, losses)


def _callable(card: ModelCard, deps: Deps) -> bool:
    """Whether the model may be called now: not while it rests, and at the end of its rest by one caller alone."""
    state = _state(card, deps)
    return state == "yes" or (state == "probe" and deps.health.claim_probe(card.provider, deps.clock.now()))


def _state(card: ModelCard, deps: Deps) -> str:
    seen = deps.health.snapshot().get(card.provider)
    return may_call(seen, deps.clock.now(), card.id) if seen else "yes"


def _resumed(job: Job, index: int, limit: float, deps: Deps) -> tuple[Job, ProviderFailure | None]:
    """Take up what an interrupted run left: stored bytes, work that a provider still holds, or an unknown call."""
    last = job.attempts[-1] if job.attempts else None
    if last is None or last.image != index or last.outcome != "unknown" or last.error_code:
        return job, None
    lost = ProviderFailure("outcome_unknown", "a run was interrupted during the call", paid="unknown")
    card = catalogue.card(last.model)
    if card is None:
        return _settle(job, lost, deps, resumed=True), lost
    data = deps.blobs.get(_raw_key(job))
    if data is not None:
        return _kept(job, card, index, Painted(data), deps, resumed=True)
    provider = deps.providers.get(card.provider)
    if last.ticket or may_collect(provider):
        order = _order(job, card, index, deps, number=_count(job, card, index) - 1)
        try:
            painted = collect(provider, Ticket(last.ticket or order.id), order, limit, deps.clock)
        except ProviderFailure as failure:
            job = _settle(job, failure, deps, resumed=True)
            return job, failure
        return _kept(job, card, index, painted, deps, resumed=True)
    return _settle(job, lost, deps, resumed=True), None if card.price_usd == 0 else lost


def _tried(
    job: Job, card: ModelCard, index: int, limit: float, deps: Deps, *, others: int
) -> tuple[Job, ProviderFailure | None]:
    """One model's tries. Waiting for a busy one is for the last of them: while others are left, they are asked."""
    provider = deps.providers.get(card.provider)
    for number in range(1, MAX_TRIES + 1):
        began = deps.clock.now()
        until = min(limit, began + _patience(card, others))
        order = _order(job, card, index, deps, number=_count(job, card, index))
        attempt = Attempt(card.provider, card.id, image=index, started_at=began)
        job = replace(job, attempts=(*job.attempts, attempt))
        _save(job, deps)  # the intent is on record before anything is paid

        def accepted(ticket: Ticket) -> None:
            nonlocal job
            job = replace(job, attempts=(*job.attempts[:-1], replace(job.attempts[-1], ticket=ticket.id)))
            _save(job, deps)

        try:
            painted = ask(provider, order, until, deps.clock, accepted)
        except ProviderFailure as failure:
            job = _settle(job, failure, deps)
            wait = None if others else wait_before_retry(failure, number)
            if wait is None or deps.clock.now() + wait >= limit:
                return job, failure
            deps.clock.sleep(wait)
            continue
        return _kept(job, card, index, painted, deps)
    raise AssertionError("the last try either returned or failed")


def _kept(
    job: Job, card: ModelCard, index: int, painted: Painted, deps: Deps, *, resumed: bool = False
) -> tuple[Job, ProviderFailure | None]:
    """Store the bytes, settle the attempt, and bring the picture to the promised size and format."""
    if card.price_usd > 0 or painted.cost_usd:
        deps.blobs.put(_raw_key(job), painted.data, "application/octet-stream")
    cost = card.price_usd if painted.cost_usd is None else painted.cost_usd
    request = job.request
    size = sizes.plan(card, request.width, request.height)
    try:
        picture, came = deps.pictures.fit(painted.data, size.final, request.format)
    except ProviderFailure as failure:
        return _settle(job, failure, deps, cost=cost, resumed=resumed), failure
    job = _settle(job, None, deps, cost=cost, resumed=resumed)
    extension = EXTENSIONS[request.format]
    image_id = ids.image_id(job.id, index)
    name = f"{image_id}.{extension}"
    key = f"images/{job.tenant}/{request.project_id}/{card.provider}/{name}"
    deps.blobs.put(key, picture, MEDIA_TYPES[extension])
    seed = routing.order(request, card, job.seed, index).seed if painted.seed is None else painted.seed
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
        seed=seed,
        created_at=deps.clock.now(),
    )
    sizing = size.note(came)
    job = replace(
        job,
        images=(*job.images, image),
        sizing=sizing,
        provider=card.provider,
        model=card.id,
        dropped=routing.replaced(request, card) + routing.dropped(request, card) + request.ignored,
        warnings=routing.warnings(card, image.created_at),
    )
    return job, None


def _settle(job: Job, failure: ProviderFailure | None, deps: Deps, *, cost: float = 0.0, resumed: bool = False) -> Job:
    """The last attempt with its end, told to the meter and to the providers' health."""
    attempt = job.attempts[-1]
    took = deps.clock.now() - attempt.started_at
    outcome, code = "success", None
    if failure is not None:
        code = failure.code
        # not_authorized: of work that was accepted before, and may not be asked after any more
        unknown = failure.paid == "unknown" and code in ("timeout", "outcome_unknown", "not_authorized")
        outcome = "refused" if code == "content_policy" else "unknown" if unknown else "failed"
    done = replace(attempt, outcome=outcome, error_code=code, duration=took, cost_usd=cost)
    deps.meter.attempt(attempt.provider, attempt.model, outcome, took)
    if cost:
        deps.meter.cost(attempt.provider, attempt.model, cost)
    if not resumed:  # how long our own crash took says nothing about the provider
        deps.health.observe(attempt.provider, attempt.model, code or "success", took, cost, deps.clock.now())
    return replace(job, attempts=(*job.attempts[:-1], done))


def _order(job: Job, card: ModelCard, index: int, deps: Deps, *, number: int) -> Order:
    """The order for this image at this model; `number` counts this model's calls for it, from 0."""
    order = routing.order(job.request, card, job.seed, index)
    reference = None
    if job.request.reference_key and card.references:
        reference = deps.blobs.get(job.request.reference_key)
        if reference is None:
            raise JobFailed(job, InvalidRequest("the reference image is no longer there"))
    return replace(
        order,
        prompt=job.prompt or order.prompt,
        id=ids.call_id(job.id, index, card.id, number),
        reference=reference,
        reference_type=job.request.reference_type,
    )


def _count(job: Job, card: ModelCard, index: int) -> int:
    return sum(1 for a in job.attempts if a.model == card.id and a.image == index)


def _patience(card: ModelCard, others: int) -> float:
    if not others:
        return card.max_seconds
    return min(card.max_seconds, max(PATIENCE_SECONDS[0], min(PATIENCE_SECONDS[1], PATIENCE * card.typical_seconds)))


def _raw_key(job: Job) -> str:
    """Where the bytes lie that the last attempt got: each has its own, so that none is taken for another's."""
    return ids.raw_key(job.tenant, job.id, len(job.attempts) - 1)


def _save(job: Job, deps: Deps) -> None:
    if not deps.jobs.save(job):
        raise TakenOver


def _error_of(failure: ProviderFailure | None, job: Job) -> ServiceError:
    if failure is None:
        return NoneAvailable("every provider that could do this is resting after failures")
    said = f"{job.attempts[-1].provider}: {failure.detail}"
    if failure.code == "content_policy":
        return ContentRefused(said)
    if failure.code == "invalid_request":
        return InvalidRequest(said)
    if failure.code == "timeout":
        return GenerationTimeout(said)
    if failure.code == "outcome_unknown":
        return OutcomeUnknown(said)
    return ProvidersFailed(said)

"""Keep what a provider gave: its bytes, the attempt's end, and the picture in the promised size and format."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from lambdas.domain import catalogue, ids
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import Unavailable
from lambdas.domain.failures import CONSEQUENCES, Failure, Outcome, Paid, ProviderFailure
from lambdas.domain.jobs.job import Attempt, Job, StoredImage
from lambdas.domain.jobs.request import EXTENSIONS, MEDIA_TYPES, GeneratedImage
from lambdas.domain.routing import planning
from lambdas.domain.routing.health import NoFailure, Seen
from lambdas.usecases.deps import Deps
from lambdas.usecases.images.outcomes import CutOut, Made, NotMade
from lambdas.usecases.images.rendered_image import RenderedImage
from lambdas.usecases.images.rendering import rendering_of
from lambdas.usecases.retry import retry_while_unavailable


def store_image(
    job: Job, card: ModelCard, index: int, answer: GeneratedImage, deps: Deps, *, resumed: bool = False
) -> Made | CutOut | NotMade:
    """Settle the attempt and store the image, unless its bytes are no good: then the failure is settled."""
    cost = card.price_usd if answer.cost_usd is None else answer.cost_usd
    if card.price_usd > 0 or cost:
        retry_while_unavailable(lambda: _put_raw(job, answer.data, answer.cost_usd, "yes", deps), deps.clock)
    request = job.request
    try:
        rendered = rendering_of(request).finish(job, card, answer, deps)
    except ProviderFailure as failure:
        if card.price_usd > 0 or cost:
            failure.paid, failure.made, failure.cost_usd = "unknown", True, cost
        return NotMade(settle(job, failure, deps, resumed=resumed), failure)
    job = settle(job, None, deps, cost=cost, resumed=resumed)
    if answer.painted is not None or answer.loaded is not None or answer.tokens is not None:
        said = replace(job.attempts[-1], painted=answer.painted, loaded=answer.loaded, tokens=answer.tokens)
        job = replace(job, attempts=(*job.attempts[:-1], said))
    if rendered is None:
        return CutOut(replace(job, cutout=raw_key(job)))
    image = _put_image(job, card, index, answer.seed, rendered, deps)
    return Made(
        replace(
            job,
            images=(*job.images, image),
            sizing=rendered.sizing,
            provider=card.provider,
            model=card.id,
            dropped=planning.replaced(request, card) + planning.dropped(request, card) + request.ignored,
            warnings=planning.warnings(card, image.created_at, job.prompt or request.prompt)
            + request.warnings
            + rendered.warnings,
        )
    )


def _put_image(
    job: Job, card: ModelCard, index: int, seed: int | None, rendered: RenderedImage, deps: Deps
) -> StoredImage:
    request = job.request
    extension = EXTENSIONS[request.format]
    image_id = ids.image_id(job.id, len(job.attempts) - 1)
    name = f"{image_id}.{extension}"
    key = f"images/{job.tenant}/{request.project_id}/{card.provider}/{name}"
    mask_key = f"{key.rpartition('.')[0]}_mask.png" if rendered.mask else ""
    if rendered.mask:
        deps.blobs.put(mask_key, rendered.mask, MEDIA_TYPES["png"])
    deps.blobs.put(key, rendered.data, MEDIA_TYPES[extension])
    return StoredImage(
        id=image_id,
        name=name,
        key=key,
        job_id=job.id,
        project_id=request.project_id,
        provider=card.provider,
        width=rendered.size[0],
        height=rendered.size[1],
        format=request.format,
        bytes=len(rendered.data),
        seed=planning.image_task(request, card, job.seed, index).seed if seed is None else seed,
        created_at=deps.clock.now(),
        mask_key=mask_key,
        confidence=rendered.confidence,
        components=dict(rendered.components),
    )


def settle(job: Job, failure: ProviderFailure | None, deps: Deps, *, cost: float = 0.0, resumed: bool = False) -> Job:
    """The last attempt with its end, told to the meter and to the providers' health. `cost` is that of a success."""
    attempt = job.attempts[-1]
    took = deps.clock.now() - attempt.started_at
    outcome: Outcome = "success"
    code: Failure | None = None
    paid: Paid = "yes" if cost else "no"
    if failure is not None:
        code = failure.code
        cost, paid = _charged(attempt, failure)
        follows = CONSEQUENCES[code]
        outcome = follows.outcome if failure.paid == "no" else follows.outcome_if_charged
    done = replace(attempt, outcome=outcome, error_code=code, duration=took, cost_usd=cost, paid=paid)
    deps.meter.attempt(attempt.provider, attempt.model, outcome, took, code)
    if cost:
        deps.meter.cost(attempt.provider, attempt.model, cost)
    if not resumed:  # how long our own crash took says nothing about the provider
        asleep = failure is not None and code == Failure.TIMEOUT and failure.paid == "no" and attempt.ticket
        seen: Seen = NoFailure.ASLEEP if asleep else code or NoFailure.SUCCESS
        deps.health.observe(attempt.provider, attempt.model, seen, took, cost, deps.clock.now())
    return replace(job, attempts=(*job.attempts[:-1], done))


def _charged(attempt: Attempt, failure: ProviderFailure) -> tuple[float, Paid]:
    """What a call cost that gave no image, and whether that is known.

    The provider's own figure, also that of the time when it accepted the work; else the list price of what it made.
    """
    card = catalogue.card(attempt.model)
    price = card.price_usd if card else 0.0
    if failure.cost_usd is not None:
        return failure.cost_usd, "yes"
    if attempt.paid == "yes":
        return attempt.cost_usd, "yes"
    if failure.made:
        return price, "yes"
    return 0.0, failure.paid if card is None or price else "no"


def store_unread_answer(job: Job, failure: ProviderFailure, deps: Deps) -> None:
    """Store what a paid call answered and nobody could read, where its picture would have been stored."""
    answer = failure.answer
    if answer and failure.paid != "no":
        paid: Paid = "yes" if failure.made else failure.paid
        with suppress(Unavailable):  # what it cost is on the receipt all the same
            _put_raw(job, answer, failure.cost_usd, paid, deps)


def stored_answer(job: Job, deps: Deps) -> tuple[GeneratedImage, Paid] | None:
    """What the last attempt got and stored, unchecked, with what its provider said it costs, and its `paid`."""
    found = deps.blobs.get_noted(raw_key(job))
    if found is None:
        return None
    last, notes = job.attempts[-1], found[1]
    told = last.cost_usd if last.paid == "yes" else None
    cost = float(notes["cost-usd"]) if "cost-usd" in notes else told
    return GeneratedImage(found[0], cost_usd=cost), "unknown" if notes.get("paid") == "unknown" else "yes"


def _put_raw(job: Job, data: bytes, cost_usd: float | None, paid: Paid, deps: Deps) -> None:
    """Store the bytes with what they cost, so that whoever takes them up after a kill tells the same."""
    notes: dict[str, str] = {} if paid == "yes" else {"paid": paid}
    if cost_usd is not None:
        notes["cost-usd"] = repr(cost_usd)
    deps.blobs.put(raw_key(job), data, "application/octet-stream", **({"notes": notes} if notes else {}))


def raw_key(job: Job) -> str:
    """Where the bytes lie that the last attempt got: each has its own, so that none is taken for another's."""
    return ids.raw_key(job.tenant, job.id, len(job.attempts) - 1)

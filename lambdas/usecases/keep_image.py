"""Keep what a provider gave: its bytes, the attempt's end, and the picture in the promised size and format."""

from __future__ import annotations

from dataclasses import replace

from lambdas.domain import ids, routing
from lambdas.domain.errors import ProviderFailure
from lambdas.domain.health import ASLEEP, SUCCESS
from lambdas.domain.jobs import Job, StoredImage
from lambdas.domain.model_card import ModelCard
from lambdas.domain.requests import EXTENSIONS, MEDIA_TYPES, Painted
from lambdas.usecases.deps import Deps
from lambdas.usecases.insist import insist
from lambdas.usecases.paint_background import finished


def keep(
    job: Job, card: ModelCard, index: int, painted: Painted, deps: Deps, *, resumed: bool = False
) -> tuple[Job, ProviderFailure | None]:
    """The job with its attempt settled and, unless the bytes are no good, with its image, or with a cut-out for it."""
    if card.price_usd > 0 or painted.cost_usd:
        insist(lambda: deps.blobs.put(raw_key(job), painted.data, "application/octet-stream"), deps.clock)
    cost = card.price_usd if painted.cost_usd is None else painted.cost_usd
    request = job.request
    try:
        made = finished(job, card, painted, deps)
    except ProviderFailure as failure:
        return settle(job, failure, deps, cost=cost, resumed=resumed), failure
    job = settle(job, None, deps, cost=cost, resumed=resumed)
    if made is None:
        return replace(job, cutout=raw_key(job)), None
    extension = EXTENSIONS[request.format]
    image_id = ids.image_id(job.id, len(job.attempts) - 1)
    name = f"{image_id}.{extension}"
    key = f"images/{job.tenant}/{request.project_id}/{card.provider}/{name}"
    mask_key = f"{key.rpartition('.')[0]}_mask.png" if made.mask else ""
    if made.mask:
        deps.blobs.put(mask_key, made.mask, MEDIA_TYPES["png"])
    deps.blobs.put(key, made.data, MEDIA_TYPES[extension])
    seed = routing.order(request, card, job.seed, index).seed if painted.seed is None else painted.seed
    image = StoredImage(
        id=image_id,
        name=name,
        key=key,
        job_id=job.id,
        project_id=request.project_id,
        provider=card.provider,
        width=made.size[0],
        height=made.size[1],
        format=request.format,
        bytes=len(made.data),
        seed=seed,
        created_at=deps.clock.now(),
        mask_key=mask_key,
        confidence=made.confidence,
        components=dict(made.components),
    )
    job = replace(
        job,
        images=(*job.images, image),
        sizing=made.sizing,
        provider=card.provider,
        model=card.id,
        dropped=routing.replaced(request, card) + routing.dropped(request, card) + request.ignored,
        warnings=routing.warnings(card, image.created_at, job.prompt or request.prompt) + made.warnings,
    )
    return job, None


def settle(job: Job, failure: ProviderFailure | None, deps: Deps, *, cost: float = 0.0, resumed: bool = False) -> Job:
    """The last attempt with its end, told to the meter and to the providers' health."""
    attempt = job.attempts[-1]
    took = deps.clock.now() - attempt.started_at
    outcome, code = "success", None
    if failure is not None:
        code = failure.code
        # not_authorized: of work that was accepted before, and may not be asked after any more; unavailable: of a
        # gateway that gave up on the provider behind it
        ends = ("timeout", "outcome_unknown", "not_authorized", "unavailable")
        unknown = failure.paid == "unknown" and code in ends
        outcome = "refused" if code == "content_policy" else "unknown" if unknown else "failed"
    done = replace(attempt, outcome=outcome, error_code=code, duration=took, cost_usd=cost)
    deps.meter.attempt(attempt.provider, attempt.model, outcome, took)
    if cost:
        deps.meter.cost(attempt.provider, attempt.model, cost)
    if not resumed:  # how long our own crash took says nothing about the provider
        asleep = failure is not None and code == "timeout" and failure.paid == "no" and attempt.ticket
        seen = ASLEEP if asleep else code or SUCCESS
        deps.health.observe(attempt.provider, attempt.model, seen, took, cost, deps.clock.now())
    return replace(job, attempts=(*job.attempts[:-1], done))


def raw_key(job: Job) -> str:
    """Where the bytes lie that the last attempt got: each has its own, so that none is taken for another's."""
    return ids.raw_key(job.tenant, job.id, len(job.attempts) - 1)

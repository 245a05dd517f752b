"""Preview a request: which models would be asked now, and what it would cost. Nothing is written or spent."""

from __future__ import annotations

import random
from dataclasses import dataclass

from lambdas.domain.catalogue import sizes
from lambdas.domain.catalogue.model_card import Size
from lambdas.domain.jobs.request import Draft, Dropped
from lambdas.domain.routing import planning
from lambdas.domain.routing.health import Health
from lambdas.domain.routing.ranking import expected_seconds
from lambdas.usecases.deps import Deps
from lambdas.usecases.images.attachments import Intake
from lambdas.usecases.jobs.accept import complete
from lambdas.usecases.prompts.optimize import guess, is_long
from lambdas.usecases.webhooks.check_url import check_webhooks


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that would be asked. `cost_usd` is of one image, `seconds` those that it typically takes."""

    provider: str
    model: str
    cost_usd: float
    seconds: float
    size: Size
    dropped: tuple[Dropped, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """`refused` gives provider, model and reason; `cost_usd` is that of all images by the first candidate."""

    candidates: tuple[Candidate, ...]
    refused: tuple[tuple[str, str, str], ...]
    cost_usd: float


def preview(draft: Draft, tenant: str, deps: Deps) -> Preview:
    """Raises what the generation would raise before it is accepted, but for the budget and the queue."""
    request, _ = complete(draft, check_webhooks((draft.request,), tenant, deps), Intake(tenant, deps), deps)
    now, deployment = deps.clock.now(), deps.deployment()
    plan = planning.explained_plan(request, deployment, now, random.Random())
    healths = deployment.healths or {}
    candidates = tuple(
        Candidate(
            card.provider,
            card.id,
            card.price_usd,
            expected_seconds(healths.get(card.provider, Health()), card, now),
            sizes.plan(card, request.width, request.height).final,
            planning.replaced(request, card) + planning.dropped(request, card) + request.ignored,
            planning.warnings(card, now, request.prompt) + request.warnings,
        )
        for card in plan.cards
    )
    refused = tuple((card.provider, card.id, reason) for card, reason in plan.refused)
    key = request.cache_key()
    if key and deps.jobs.recall(tenant, key):
        cost = 0.0  # an equal earlier request has its images
    else:
        cost = candidates[0].cost_usd * request.n
        if request.optimize_prompt and is_long(request.prompt):
            cost += sum(guess(engine, request.prompt) for engine in deps.engines)
    return Preview(candidates, refused, round(cost, 6))

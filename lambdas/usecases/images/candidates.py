"""Which of a job's planned models may be asked for an image now."""

from __future__ import annotations

from typing import Literal

from lambdas.domain import catalogue
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.job import Attempt, Job
from lambdas.domain.routing import fallback
from lambdas.domain.routing.health import may_call
from lambdas.usecases.deps import Deps

# How long a model may take while others can still be asked: so many typical times, within these bounds.
PATIENCE = 2.5
PATIENCE_SECONDS = (10.0, 60.0)


def remaining_models(job: Job, index: int, failure: ProviderFailure | None) -> list[str]:
    """The planned models still to ask: those not asked yet, those that could not be reached, and after an
    interrupted run the free ones again.

    `failure` is that run's last one; after a final failure none is left.
    """
    if failure and not may_ask_next(failure, job, index):
        return []
    asked = {attempt.model for attempt in job.attempts if attempt.image == index}
    free = {model for model in asked if (card := catalogue.card(model)) and card.price_usd == 0}
    again = free if failure is None or failure.code == Failure.OUTCOME_UNKNOWN else set()
    if failure is None:
        again |= asked - {a.model for a in job.attempts if a.image == index and not _unreached(a)}
    left = [model for model in job.plan or (job.model,) if model not in asked or model in again]
    return [model for model in left if not _lacks_cutout(job, model, asked)]


def _unreached(attempt: Attempt) -> bool:
    return attempt.error_code == Failure.UNAVAILABLE and attempt.paid == "no"


def _lacks_cutout(job: Job, model: str, asked: set[str]) -> bool:
    """Whether the model needs a cut-out that was called for in vain: the call may be paid and is not repeated."""
    card = catalogue.card(model)
    return card is not None and job.cutout is None and card.background_remover in asked


def may_ask_next(failure: ProviderFailure, job: Job, index: int) -> bool:
    """Whether the next model is asked after this failure. Calls that may have been paid in vain are limited."""
    earlier = (a for a in job.attempts[:-1] if a.image == index)
    losses = sum(1 for a in earlier if a.outcome == "unknown" or (a.cost_usd > 0 and a.outcome != "success"))
    return fallback.may_fall_back(failure.code, failure.paid, losses)


def claim_call(card: ModelCard, deps: Deps) -> bool:
    """Whether the model may be called now. After a cooldown one worker alone gets the probe, and must then call."""
    found = availability(card, deps)
    return found == "yes" or (found == "probe" and deps.health.claim_probe(card.provider, deps.clock.now()))


def availability(card: ModelCard, deps: Deps) -> Literal["yes", "probe", "no"]:
    """See health.may_call; a provider without statistics is available."""
    seen = deps.health.snapshot().get(card.provider)
    return may_call(seen, deps.clock.now(), card.id) if seen else "yes"


def patience(card: ModelCard, others: int) -> float:
    """Seconds that the model may take for one image. `others`: models that can be asked after it."""
    if not others:
        return card.max_seconds
    return min(card.max_seconds, max(PATIENCE_SECONDS[0], min(PATIENCE_SECONDS[1], PATIENCE * card.typical_seconds)))


def unasked(job: Job, index: int) -> int:
    """How many of the planned models have not been asked for this image."""
    return len(set(job.plan) - {attempt.model for attempt in job.attempts if attempt.image == index})

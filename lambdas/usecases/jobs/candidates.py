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


def remaining_models(job: Job, index: int, failure: ProviderFailure | None) -> list[str]:
    """The planned models to ask for this image: those not asked yet, those that could not be reached, and after an
    interrupted run free ones again.

    `failure` is what became of that run's last call, if anything; where it is final, none is left.
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
    """Whether the model needs a cut-out that was asked for, perhaps paid, and not given: it is not asked for again."""
    card = catalogue.card(model)
    return card is not None and job.cutout is None and card.background_remover in asked


def may_ask_next(failure: ProviderFailure, job: Job, index: int) -> bool:
    """Whether the next model is asked; calls that may have been paid in vain are counted, and end somewhere."""
    earlier = (a for a in job.attempts[:-1] if a.image == index)
    losses = sum(1 for a in earlier if a.outcome == "unknown" or (a.cost_usd > 0 and a.outcome != "success"))
    return fallback.may_fall_back(failure.code, failure.paid, losses)


def claim_call(card: ModelCard, deps: Deps) -> bool:
    """Whether the caller may call the model now: at the end of its rest it is one caller alone, who then must call."""
    found = state(card, deps)
    return found == "yes" or (found == "probe" and deps.health.claim_probe(card.provider, deps.clock.now()))


def state(card: ModelCard, deps: Deps) -> Literal["yes", "probe", "no"]:
    """Whether the model rests, as health.may_call says it."""
    seen = deps.health.snapshot().get(card.provider)
    return may_call(seen, deps.clock.now(), card.id) if seen else "yes"

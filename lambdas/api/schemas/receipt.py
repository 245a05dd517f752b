"""What was done for an answer and what that cost: on every answer with images, and on the error of a job."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pydantic import Field

from lambdas.api.schemas.common import View
from lambdas.domain import catalogue
from lambdas.domain.failures import Outcome
from lambdas.domain.jobs.job import Attempt, Job, Rewriting
from lambdas.domain.prompts import Method


class DroppedParam(View):
    name: str
    reason: str


class AttemptView(View):
    provider: str
    model: str
    outcome: Outcome
    error_code: str | None
    duration: float = Field(description="Seconds.")
    cost_usd: float

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptView:
        return cls(
            provider=attempt.provider,
            model=attempt.model,
            outcome=attempt.outcome,
            error_code=attempt.error_code,
            duration=round(attempt.duration, 3),
            cost_usd=attempt.cost_usd,
        )


class PromptValidation(View):
    original_length: int
    optimized_length: int
    optimization_time: float = Field(description="Seconds.")
    method: Method
    engine: str | None = Field(description="The model that rewrote the prompt.")
    cost_usd: float = Field(description="Of the language models that were asked; part of the whole.")


class Sizing(View):
    generated: str = Field(description="The size the model made.", examples=["1024x1024"])
    returned: str = Field(description="The size of the image in the answer.", examples=["512x512"])
    by: str = Field(description="How the one became the other.", examples=["reduced", "enlarged+cropped"])


class Metadata(View):
    """What was done to get the answer."""

    prompt_validation: PromptValidation
    generation_time: float | None = Field(description="Seconds from start to end.")
    provider: str
    provider_model: str
    cost_usd: float
    cached: bool
    dropped_params: list[DroppedParam]
    attempts: list[AttemptView]
    size: Sizing | None = Field(description="Where the image was not made at the size that was asked for.")
    warnings: list[str]

    @classmethod
    def of(cls, job: Job) -> Metadata:
        rewriting = job.rewriting or Rewriting()
        took = job.finished_at - job.started_at if job.finished_at and job.started_at else None
        return cls(
            prompt_validation=PromptValidation(
                original_length=len(job.request.prompt),
                optimized_length=len(job.prompt or job.request.prompt),
                optimization_time=round(rewriting.seconds, 3),
                method=rewriting.method,
                engine=rewriting.engine,
                cost_usd=rewriting.cost_usd,
            ),
            generation_time=None if took is None else round(took, 3),
            provider=job.provider,
            provider_model=job.model,
            cost_usd=job.cost_usd,
            cached=job.cached,
            dropped_params=[DroppedParam(**asdict(d)) for d in job.dropped],
            attempts=[AttemptView.of(attempt) for attempt in job.attempts],
            size=Sizing(**asdict(job.sizing)) if job.sizing else None,
            warnings=[*job.warnings, *rewriting.warnings, *_unsure(job)],
        )


def _unsure(job: Job) -> list[str]:
    """Of the calls whose end is known, those that may have been charged; an `unknown` one says so by itself."""
    unsure = (a for a in job.attempts if a.unsure and a.outcome != "unknown" and _is_paid(a.model))
    return [f"{a.provider} may have charged for its {a.outcome} call: nobody knows" for a in unsure]


def _is_paid(model: str) -> bool:
    card = catalogue.card(model)
    return card is not None and card.price_usd > 0


def spent(job: Job) -> dict[str, Any]:
    """What the error of a job tells of it: who was asked, why each failed, what it has cost."""
    attempts = [AttemptView.of(attempt).model_dump() for attempt in job.attempts]
    return {"generation_id": job.id, "attempts": attempts, "cost_usd": job.cost_usd}

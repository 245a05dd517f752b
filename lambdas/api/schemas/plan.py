"""What a request would come to, and what is left of the month's budget."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lambdas.api.schemas.common import View
from lambdas.api.schemas.receipt import DroppedParam
from lambdas.domain.limits.budget import MICROUSD, Caps, Committed
from lambdas.usecases.jobs.preview import Candidate, Preview

Usd = Annotated[float, Field(description="USD.")]


class PlannedSize(View):
    width: int
    height: int


class CandidateView(View):
    """A model that would be asked."""

    provider: str
    model: str
    cost_usd: float = Field(description="Of one image, by the list price.")
    typical_seconds: float = Field(description="Of one image, as observed lately, else as the model is known for.")
    size: PlannedSize
    dropped_params: list[DroppedParam]
    warnings: list[str]

    @classmethod
    def of(cls, candidate: Candidate) -> CandidateView:
        width, height = candidate.size
        return cls(
            provider=candidate.provider,
            model=candidate.model,
            cost_usd=candidate.cost_usd,
            typical_seconds=round(candidate.seconds, 2),
            size=PlannedSize(width=width, height=height),
            dropped_params=[DroppedParam(name=d.name, reason=d.reason) for d in candidate.dropped],
            warnings=list(candidate.warnings),
        )


class RefusedView(View):
    """A model of a configured provider that would not be asked."""

    provider: str
    model: str
    reason: str


class PlanView(View):
    """The models in the order in which they would be asked now. An order by chance can be another one next time."""

    candidates: list[CandidateView]
    refused: list[RefusedView]
    estimated_cost_usd: float = Field(description="Of all images, by the first candidate; 0 where the cache has them.")

    @classmethod
    def of(cls, preview: Preview) -> PlanView:
        return cls(
            candidates=[CandidateView.of(candidate) for candidate in preview.candidates],
            refused=[RefusedView(provider=p, model=m, reason=reason) for p, m, reason in preview.refused],
            estimated_cost_usd=preview.cost_usd,
        )


class BudgetView(View):
    """The caller's month, in UTC. Limits and what remains are null where there is no limit."""

    month: str
    limit_usd: Usd | None
    spent_usd: Usd
    reserved_usd: float = Field(description="By jobs that have not ended, at the most that they can cost.")
    remaining_usd: Usd | None
    limit_images: int | None
    images: int = Field(description="That were made.")

    @classmethod
    def of(cls, month: str, caps: Caps, committed: Committed) -> BudgetView:
        capped = caps.microusd > 0
        return cls(
            month=month,
            limit_usd=caps.microusd / MICROUSD if capped else None,
            spent_usd=committed.spent_microusd / MICROUSD,
            reserved_usd=max(0, committed.microusd - committed.spent_microusd) / MICROUSD,
            remaining_usd=max(0, caps.microusd - committed.microusd) / MICROUSD if capped else None,
            limit_images=caps.images or None,
            images=committed.made_images,
        )

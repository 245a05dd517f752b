"""The models as this deployment offers them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from lambdas.domain import catalogue
from lambdas.domain.catalogue.model_card import ModelCard, Retired
from lambdas.domain.jobs.request import TEXT_TO_IMAGE
from lambdas.domain.providers import DEMO
from lambdas.domain.routing import planning
from lambdas.domain.routing.planning import Deployment

ModelStatus = Literal["available", "unconfigured", "retired"]
AVAILABLE: Final = "available"
UNCONFIGURED: Final = "unconfigured"
RETIRED: Final = "retired"


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """The sides that a model takes, in pixels."""

    min: int
    max: int
    step: int
    max_pixels: int


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model as it is offered here; of a retired one, what is left to say."""

    id: str
    created: int
    owned_by: str
    provider: str
    capabilities: tuple[str, ...]
    status: ModelStatus
    retires_on: str | None
    replacement: str | None = None
    warnings: tuple[str, ...] = ()
    price_usd: float | None = None
    sizes: SizeLimits | tuple[str, ...] | None = None  # what the model itself makes; `None` for any
    honours: tuple[str, ...] = ()
    prompt_max: int | None = None
    typical_seconds: float | None = None
    licence: str | None = None


def list_models(deployment: Deployment, now: float) -> list[ModelRow]:
    """One row per model: usable ones first, then those without a provider here, then retired ones."""
    rows = [_living(card, deployment, now) for card in _cards(deployment, now)]
    rows.sort(key=lambda row: row.status)  # available before unconfigured; stable otherwise
    return rows + [_gone(model) for model in catalogue.RETIRED]


def find_model(model_id: str, deployment: Deployment, now: float) -> ModelRow | None:
    """The row of one model of `list_models`."""
    return next((row for row in list_models(deployment, now) if row.id == model_id), None)


def takable(deployment: Deployment, now: float) -> list[str]:
    """The models that a request for an image may name here, in the order of `list_models`.

    Where the demo stands alone it answers for all of them, and says so.
    """
    painting = {card.id for card in _cards(deployment, now) if TEXT_TO_IMAGE in card.capabilities}
    stands_in = deployment.configured == {DEMO}
    rows = list_models(deployment, now)
    return [row.id for row in rows if row.id in painting and (stands_in or row.status == AVAILABLE)]


def _cards(deployment: Deployment, now: float) -> list[ModelCard]:
    today = datetime.fromtimestamp(now, UTC).date()
    return [
        card
        for card in catalogue.CARDS
        if deployment.allows(card.id)
        and deployment.has(card)
        and not catalogue.retired(card.id, today)
        and (card.provider != DEMO or DEMO in deployment.configured)
    ]


def _living(card: ModelCard, deployment: Deployment, now: float) -> ModelRow:
    return ModelRow(
        id=card.id,
        created=card.created,
        owned_by=card.owned_by,
        provider=card.provider,
        capabilities=tuple(sorted(card.capabilities)),
        status=AVAILABLE if card.provider in deployment.configured else UNCONFIGURED,
        retires_on=card.retires_on.isoformat() if card.retires_on else None,
        warnings=planning.warnings(card, now),
        price_usd=card.price_usd,
        sizes=_sizes(card),
        honours=tuple(sorted(card.honours)),
        prompt_max=card.prompt_max,
        typical_seconds=card.typical_seconds,
        licence=card.licence or None,
    )


def _gone(model: Retired) -> ModelRow:
    return ModelRow(
        id=model.id,
        created=model.created,
        owned_by=model.owned_by,
        provider=model.provider,
        capabilities=(TEXT_TO_IMAGE,),
        status=RETIRED,
        retires_on=model.ended.isoformat() if model.ended else None,
        replacement=model.replacement,
    )


def _sizes(card: ModelCard) -> SizeLimits | tuple[str, ...] | None:
    if card.sides:
        sides = card.sides
        return SizeLimits(sides.min, sides.max, sides.step, min(sides.max_pixels, sides.max**2))
    return tuple(f"{width}x{height}" for width, height in card.ratios.values()) or None

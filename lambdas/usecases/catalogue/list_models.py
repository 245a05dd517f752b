"""The models as this deployment offers them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lambdas.domain import catalogue
from lambdas.domain.catalogue.model_card import ModelCard, Retired
from lambdas.domain.jobs.request import TEXT_TO_IMAGE
from lambdas.domain.routing import planning
from lambdas.domain.routing.planning import DEMO, Deployment

AVAILABLE, UNCONFIGURED, RETIRED = "available", "unconfigured", "retired"


def list_models(house: Deployment, now: float) -> list[dict[str, Any]]:
    """One row per model: usable ones first, then those without a provider here, then retired ones."""
    rows = [_living(card, house, now) for card in _cards(house, now)]
    rows.sort(key=lambda row: str(row["status"]))  # available before unconfigured; stable otherwise
    return rows + [_gone(model) for model in catalogue.RETIRED]


def find_model(model_id: str, house: Deployment, now: float) -> dict[str, Any] | None:
    """The row of one model of `list_models`."""
    return next((row for row in list_models(house, now) if row["id"] == model_id), None)


def takable(house: Deployment, now: float) -> list[str]:
    """The models that a request for an image may name here, in the order of `list_models`.

    Where the demo stands alone it answers for all of them, and says so.
    """
    unsupported_reason = {card.id for card in _cards(house, now) if TEXT_TO_IMAGE in card.capabilities}
    stands_in = house.configured == {DEMO}
    rows = list_models(house, now)
    return [row["id"] for row in rows if row["id"] in unsupported_reason and (stands_in or row["status"] == AVAILABLE)]


def _cards(house: Deployment, now: float) -> list[ModelCard]:
    today = datetime.fromtimestamp(now, UTC).date()
    return [
        card
        for card in catalogue.CARDS
        if house.allows(card.id)
        and house.has(card)
        and not catalogue.retired(card.id, today)
        and (card.provider != DEMO or DEMO in house.configured)
    ]


def _living(card: ModelCard, house: Deployment, now: float) -> dict[str, Any]:
    return {
        "id": card.id,
        "created": card.created,
        "owned_by": card.owned_by,
        "provider": card.provider,
        "capabilities": sorted(card.capabilities),
        "status": AVAILABLE if card.provider in house.configured else UNCONFIGURED,
        "retires_on": card.retires_on.isoformat() if card.retires_on else None,
        "replacement": None,
        "warnings": list(planning.warnings(card, now)),
        "price_usd": card.price_usd,
        "sizes": _sizes(card),
        "honours": sorted(card.honours),
        "prompt_max": card.prompt_max,
        "typical_seconds": card.typical_seconds,
        "licence": card.licence or None,
    }


def _gone(model: Retired) -> dict[str, Any]:
    return {
        "id": model.id,
        "created": model.created,
        "owned_by": model.owned_by,
        "provider": model.provider,
        "capabilities": [TEXT_TO_IMAGE],
        "status": RETIRED,
        "retires_on": model.ended.isoformat() if model.ended else None,
        "replacement": model.replacement,
        "warnings": [],
        "price_usd": None,
        "sizes": None,
        "honours": [],
        "prompt_max": None,
        "typical_seconds": None,
        "licence": None,
    }


def _sizes(card: ModelCard) -> dict[str, int] | list[str] | None:
    """What the model itself makes: limits of its sides, or each size; `None` for any."""
    if card.sides:
        sides = card.sides
        return {
            "min": sides.least,
            "max": sides.most,
            "step": sides.step,
            "max_pixels": min(sides.most_pixels, sides.most**2),
        }
    return [f"{width}x{height}" for width, height in card.ratios.values()] or None

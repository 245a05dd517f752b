"""The models as this deployment offers them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lambdas.domain import catalogue, routing
from lambdas.domain.routing import DEMO, House


def list_models(house: House, now: float) -> list[dict[str, Any]]:
    """One row per model: usable ones first, then those without a provider here, then retired ones."""
    today = datetime.fromtimestamp(now, UTC).date()
    live = [c for c in catalogue.CARDS if house.allows(c.id) and house.has(c) and not catalogue.retired(c.id, today)]
    rows = [
        {
            "id": card.id,
            "created": card.created,
            "owned_by": card.owned_by,
            "provider": card.provider,
            "capabilities": sorted(card.capabilities),
            "status": "available" if card.provider in house.configured else "unconfigured",
            "retires_on": card.retires_on.isoformat() if card.retires_on else None,
            "replacement": None,
            "warnings": list(routing.warnings(card, now)),
        }
        for card in live
        if card.provider != DEMO or DEMO in house.configured
    ]
    rows.sort(key=lambda row: str(row["status"]))  # available before unconfigured; stable otherwise
    return rows + [
        {
            "id": gone.id,
            "created": gone.created,
            "owned_by": gone.owned_by,
            "provider": gone.provider,
            "capabilities": ["text-to-image"],
            "status": "retired",
            "retires_on": gone.ended.isoformat() if gone.ended else None,
            "replacement": gone.replacement,
            "warnings": [],
        }
        for gone in catalogue.RETIRED
    ]

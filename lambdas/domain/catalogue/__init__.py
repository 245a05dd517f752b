"""The catalogue: looks up models by id, by provider and by date."""

from __future__ import annotations

from datetime import UTC, date, datetime
from importlib import import_module
from typing import Final

from lambdas.domain.catalogue.model_card import ModelCard, Retired
from lambdas.domain.providers import ALL

_MODULES: Final = [import_module(f"lambdas.domain.catalogue.cards.{provider}") for provider in ALL]
CARDS: Final[tuple[ModelCard, ...]] = tuple(card for module in _MODULES for card in module.CARDS)
RETIRED: Final[tuple[Retired, ...]] = tuple(gone for module in _MODULES for gone in getattr(module, "RETIRED", ()))

_CARD_BY_ID: Final = {card.id: card for card in CARDS}
_RETIRED_BY_ID: Final = {model.id: model for model in RETIRED}


def card(model_id: str) -> ModelCard | None:
    """Return the model's card, even after its `retires_on`; `None` for an ended or unknown model."""
    return _CARD_BY_ID.get(model_id)


def retired(model_id: str, today: date | None = None) -> Retired | None:
    """Return why the model has ended and its replacement; `None` for a usable or unknown model.

    A card counts as retired from its `retires_on` on.
    """
    found = _CARD_BY_ID.get(model_id)
    if found is None:
        return _RETIRED_BY_ID.get(model_id)
    today = today or datetime.now(UTC).date()
    if found.retires_on is None or today < found.retires_on:
        return None
    living = (c for c in (*cards_of(found.provider), *CARDS) if c.retires_on is None or today < c.retires_on)
    reason = f"It ended on {found.retires_on.isoformat()}."
    return Retired(found.id, found.provider, found.owned_by, found.created, found.retires_on, reason, next(living).id)


def cards_of(provider: str) -> tuple[ModelCard, ...]:
    """Return the provider's models, its default first."""
    return tuple(c for c in CARDS if c.provider == provider)

"""The models the service knows, looked up by name, by provider and by date."""

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
    """The model's card, also after its `retires_on`; `None` for what is in no table of living models."""
    return _CARD_BY_ID.get(model_id)


def retired(model_id: str, today: date | None = None) -> Retired | None:
    """Why the model no longer answers and what to use instead; `None` for a living or unknown model.

    A card whose `retires_on` has come counts as retired from that day on.
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
    """The provider's models, the one to be asked first in front; empty for a provider without any."""
    return tuple(c for c in CARDS if c.provider == provider)


def default_of(provider: str) -> ModelCard:
    """The provider's default model, which reads any prompt. Raises KeyError for a provider without models."""
    for c in CARDS:
        if c.provider == provider and not c.words:
            return c
    raise KeyError(provider)

"""Which model answers a request, and what of the request that model cannot honour."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from lambdas.domain import catalogue, sizes
from lambdas.domain.catalogue import ModelCard
from lambdas.domain.errors import InvalidRequest, NoneAvailable, ProviderUnconfigured, RetiredModel, UnknownModel
from lambdas.domain.requests import MAX_SEED, SAFE_NEGATIVE_PROMPT, ImageRequest, Order

PROVIDERS = ("bedrock", "sagemaker", "leonardo_ai", "runware_ai", "gemini", "comfyui")
DEMO = "demo"
WARN_BEFORE = timedelta(days=60)  # a model that ends within this time warns in its answers

Dropped = tuple[dict[str, str], ...]


@dataclass(frozen=True, slots=True)
class House:
    """What this deployment offers: its configured providers and its choice of models."""

    configured: frozenset[str]
    default_model: str
    allowed_models: Collection[str] = ()

    def allows(self, model_id: str) -> bool:
        return not self.allowed_models or model_id in self.allowed_models


@dataclass(frozen=True, slots=True)
class Choice:
    """The model that will answer, what it drops of the request, and what the client should know."""

    card: ModelCard
    dropped: Dropped
    warnings: tuple[str, ...] = ()


def choose(request: ImageRequest, house: House, today: date) -> Choice:
    """Pick the model. Raises the 4xx errors for names that are unknown, retired, contradictory or not configured."""
    _check_provider(request.provider, house)
    stand_in: Dropped = ()
    if request.model is not None:
        card = _named(request.model, house, today)
        if request.provider not in ("auto", card.provider):
            raise InvalidRequest(f"model {card.id!r} belongs to provider {card.provider!r}, not {request.provider!r}")
        if card.provider not in house.configured:
            if house.configured != {DEMO}:
                raise ProviderUnconfigured(
                    f"model {card.id!r} needs provider {card.provider!r}, which is not configured"
                )
            stand_in = ({"name": "model", "reason": f"no provider is configured: the demo drew instead of {card.id}"},)
            card = catalogue.default_of(DEMO)
    else:
        card = _default(request.provider, house, today)
    warnings: tuple[str, ...] = ()
    if card.retires_on and card.retires_on - today <= WARN_BEFORE:
        warnings = (f"model {card.id} retires on {card.retires_on.isoformat()}",)
    return Choice(card, stand_in + _dropped(request, card), warnings)


def _check_provider(provider: str, house: House) -> None:
    if provider == "auto" or provider in house.configured:
        return
    if provider in PROVIDERS or provider == DEMO:
        raise ProviderUnconfigured(f"provider {provider!r} is not configured here")
    raise InvalidRequest(f"unknown provider {provider!r}; known are: auto, {', '.join(PROVIDERS)}")


def _named(model: str, house: House, today: date) -> ModelCard:
    if end := catalogue.retired(model, today):
        raise RetiredModel(f"model {model!r} is retired: {end.reason} Use {end.replacement!r} instead.")
    card = catalogue.card(model)
    if card is None:
        raise UnknownModel(f"unknown model {model!r}; GET /v1/models lists those that exist")
    if not house.allows(model):
        raise UnknownModel(f"model {model!r} is not allowed here; allowed are: {', '.join(house.allowed_models)}")
    return card


def _default(provider: str, house: House, today: date) -> ModelCard:
    preferred = catalogue.card(house.default_model)
    if preferred and preferred.provider in house.configured and provider in ("auto", preferred.provider):
        return preferred
    for candidate in [provider] if provider != "auto" else [*PROVIDERS, DEMO]:
        if candidate not in house.configured:
            continue
        if candidate == DEMO:
            return catalogue.default_of(DEMO)
        for card in catalogue.cards_of(candidate):
            if house.allows(card.id) and not catalogue.retired(card.id, today):
                return card
    raise NoneAvailable("no configured provider has an allowed model")


def _dropped(request: ImageRequest, card: ModelCard) -> Dropped:
    gone = [
        {"name": name, "reason": f"{card.id} has no such parameter"}
        for name in ("negative_prompt", "steps", "cfg", "seed")
        if name in request.given and name not in card.honours
    ]
    if "seed" in card.honours and request.seed is not None and not card.seed_min <= request.seed <= card.seed_max:
        reason = f"{card.id} takes seeds from {card.seed_min} to {card.seed_max}; one was drawn instead"
        gone.append({"name": "seed", "reason": reason})
    return tuple(gone)


def draw_seed(request: ImageRequest, card: ModelCard) -> int:
    """The client's own seed where the model takes it, else a drawn one. Never 0: some models read it as `random`."""
    if request.seed is not None and card.seed_min <= request.seed <= card.seed_max:
        return request.seed
    return random.randint(max(1, card.seed_min), min(card.seed_max, MAX_SEED) - request.n)


def order(request: ImageRequest, card: ModelCard, seed: int, index: int) -> Order:
    """The order for the job's image number `index`: seeds count up from the job's, within the model's range."""
    size = sizes.plan(card, request.width, request.height)
    direct = request.format in card.formats and size.generate == size.final
    span = card.seed_max - card.seed_min + 1
    return Order(
        card=card,
        prompt=request.prompt,
        negative_prompt=(request.negative_prompt or SAFE_NEGATIVE_PROMPT)
        if "negative_prompt" in card.honours
        else None,
        seed=card.seed_min + (seed - card.seed_min + index) % span,
        generate=size.generate,
        ratio=size.ratio,
        steps=request.steps if "steps" in card.honours else None,
        cfg=request.cfg if "cfg" in card.honours else None,
        format=request.format if direct else "png",  # what will be scaled is taken without loss
    )

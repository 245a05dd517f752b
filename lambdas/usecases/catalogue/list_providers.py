"""The providers as this deployment sees them: what they offer, and how they have lately done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from lambdas.domain import catalogue
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.providers import DEMO, PROVIDERS
from lambdas.domain.routing.health import Health, Status, faded, status
from lambdas.domain.routing.planning import Deployment


@dataclass(frozen=True, slots=True)
class ProviderLimits:
    """What the widest of a provider's models takes; which one does stands in the models' own rows and in the docs."""

    prompt_characters: int
    reference_images: int
    seconds: float
    parameters: tuple[str, ...]
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One provider as it is here; a figure not known yet is `None`. Times are Unix seconds, prices USD."""

    id: str
    configured: bool
    status: Status | Literal["unconfigured"]
    models: tuple[str, ...]
    capabilities: tuple[str, ...]
    success_rate: float | None
    latency_p50: float | None
    latency_p95: float | None
    price_per_image: float | None
    prices: Mapping[str, float]
    limits: ProviderLimits
    cooldown_until: float | None


def list_providers(deployment: Deployment, now: float) -> list[ProviderRow]:
    """One row per provider, in a fixed order; the demo only where it answers."""
    shown = [*PROVIDERS, *([DEMO] if DEMO in deployment.configured else [])]
    healths = deployment.healths or {}
    return [_row(provider, deployment, healths.get(provider, Health()), now) for provider in shown]


def _row(provider: str, deployment: Deployment, health: Health, now: float) -> ProviderRow:
    today = datetime.fromtimestamp(now, UTC).date()
    offered = (c for c in catalogue.cards_of(provider) if deployment.allows(c.id) and deployment.has(c))
    cards = [c for c in offered if not catalogue.retired(c.id, today)]
    configured = provider in deployment.configured
    seen = faded(health, now)
    return ProviderRow(
        id=provider,
        configured=configured,
        status=status(health, now) if configured else "unconfigured",
        models=tuple(c.id for c in cards),
        capabilities=tuple(sorted({capability for c in cards for capability in c.capabilities})),
        success_rate=seen.success_rate,
        latency_p50=seen.latency(0.5, now),
        latency_p95=seen.latency(0.95, now),
        price_per_image=cards[0].price_usd if cards else None,
        prices={c.id: c.price_usd for c in cards},
        limits=_limits(cards),
        cooldown_until=health.cooldown_until if health.cooldown_until > now else None,
    )


def _limits(cards: list[ModelCard]) -> ProviderLimits:
    return ProviderLimits(
        prompt_characters=max((c.prompt_max for c in cards), default=0),
        reference_images=max((c.references for c in cards), default=0),
        seconds=max((c.max_seconds for c in cards), default=0.0),
        parameters=tuple(sorted({name for c in cards for name in c.honours})),
        formats=tuple(f for f in ("png", "jpeg", "webp") if any(f in c.formats for c in cards)),
    )

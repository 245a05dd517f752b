"""The ports a use case is given, in one frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdas.domain.budget import NO_CAPS, Caps
from lambdas.domain.ports import (
    Batches,
    Blobs,
    Clock,
    Jobs,
    Limits,
    Meter,
    Pictures,
    Projects,
    PromptEngine,
    ProviderHealth,
    Providers,
    Queue,
    Workers,
)
from lambdas.domain.routing import House


@dataclass(frozen=True, slots=True)
class Deps:
    """`generation_timeout` in seconds, 0 for none; `retention_days` is how long job records are kept."""

    jobs: Jobs
    blobs: Blobs
    pictures: Pictures
    queue: Queue
    workers: Workers
    providers: Providers
    clock: Clock
    meter: Meter
    health: ProviderHealth
    batches: Batches
    limits: Limits
    projects: Projects
    default_model: str
    allowed_models: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)  # shares of traffic by provider
    generation_timeout: float = 0.0
    retention_days: int = 30
    caps: Caps = NO_CAPS  # of each tenant, for a month
    engines: tuple[PromptEngine, ...] = ()  # that shorten prompts, in the order in which they are asked

    def house(self) -> House:
        """What the deployment offers now."""
        configured = self.providers.configured()
        return House(configured, self.default_model, self.allowed_models, self.health.snapshot(), self.weights)

"""The ports a use case is given, in one frozen record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdas.domain.aliases import OPENAI
from lambdas.domain.limits.budget import NO_CAPS, Caps
from lambdas.domain.ports.accounts import Books, Limits, LinkKeys, Projects
from lambdas.domain.ports.jobs import Batches, Jobs, Queue, Workers
from lambdas.domain.ports.load import Backlog, Slots
from lambdas.domain.ports.media import Blobs, Compositor, Pictures
from lambdas.domain.ports.metrics import Analytics, Counters
from lambdas.domain.ports.providers import PromptEngine, ProviderHealth, Providers
from lambdas.domain.ports.runtime import Clock, Meter
from lambdas.domain.ports.webhooks import EventQueue, Outbox, WebhookUrls
from lambdas.domain.routing.planning import Deployment
from lambdas.usecases.heartbeat import Heartbeat, heartbeat


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
    books: Books
    link_keys: LinkKeys
    projects: Projects
    slots: Slots
    backlog: Backlog
    outbox: Outbox
    events: EventQueue
    webhook_urls: WebhookUrls
    compositor: Compositor
    analytics: Analytics
    counters: Counters | None  # of the deployment; None where it does not count
    default_model: str
    allowed_models: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=lambda: OPENAI)  # the model by pattern of OpenAI's names
    weights: Mapping[str, float] = field(default_factory=dict)  # shares of traffic by provider
    vocabulary_limited: frozenset[str] = frozenset()  # see Deployment
    generation_timeout: float = 0.0
    max_queue_seconds: float = 0.0  # that a job may have to wait for a worker; 0 for any time
    worker_concurrency: int = 0  # jobs at a time; 0 where that is not known
    retention_days: int = 30
    caps: Caps = NO_CAPS  # of each tenant, for a month
    engines: tuple[PromptEngine, ...] = ()  # that shorten prompts, in the order in which they are asked
    heartbeat: Heartbeat = heartbeat  # keeps a run's lease

    def deployment(self) -> Deployment:
        """What the deployment offers now."""
        return Deployment(
            self.providers.configured(),
            self.default_model,
            self.allowed_models,
            self.health.snapshot(),
            self.weights,
            self.vocabulary_limited,
        )

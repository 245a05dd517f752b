"""Defines the ports to image services, to their health, and to the models that shorten prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lambdas.domain.jobs.request import GeneratedImage, ImageTask, Ticket
from lambdas.domain.prompts.prices import TextPrice
from lambdas.domain.routing.health import Health, Seen


class Provider(Protocol):
    """An image service. Adding one: lambdas/providers/README.md."""

    def paint(self, task: ImageTask, timeout: float) -> GeneratedImage:
        """Make one image within `timeout` seconds, in one paid call, never retried here.

        Raises ProviderFailure for everything that is not an image.
        """


@runtime_checkable
class TicketProvider(Protocol):
    """An image service whose work outlives the call that starts it.

    `client_chooses_id`: the work's id is `task.id`, so that the work can be polled even if the answer to `submit` was
    lost. `notifies_completion`: `requeue_finished_job` is called at the end of the work, so that no run has to wait.
    """

    client_chooses_id: bool
    notifies_completion: bool

    def submit(self, task: ImageTask, timeout: float) -> Ticket:
        """Start one image in one paid call, never retried here. Raises ProviderFailure.

        The id of the work is `task.id` if the client chooses it.
        """

    def collect(self, ticket: Ticket, task: ImageTask, timeout: float) -> GeneratedImage | None:
        """Poll once: return the image, or `None` while the work goes on.

        Raises ProviderFailure: `unavailable` or `throttled` if the poll failed and may be tried again, `failed` or
        `content_policy` if the work ended without an image, `outcome_unknown` if the service does not know the ticket.
        Polling is free and may be repeated without limit.
        """


class Providers(Protocol):
    def configured(self) -> frozenset[str]:
        """The ids of the providers that could be called now."""

    def get(self, provider_id: str) -> Provider | TicketProvider:
        """The provider, imported on first use."""


class ProviderHealth(Protocol):
    """The providers' recent health over all functions. Never raises: without data all are healthy."""

    def snapshot(self) -> Mapping[str, Health]:
        """The health by provider id, at most a few seconds old; without providers that were not called lately."""

    def observe(self, provider: str, model: str, seen: Seen, seconds: float, cost: float, now: float) -> None:
        """Record a call that ended at `now` as `seen`."""

    def claim_probe(self, provider: str, now: float) -> bool:
        """Claim the call to a provider for which health.may_call returns `probe`.

        True for one caller over all functions, until its outcome is observed or health.PROBE_SECONDS have passed; for
        every caller once the cooldown has ended.
        """


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A language model's text and its cost in USD, `estimated` if the answer counts no tokens."""

    text: str
    cost_usd: float = 0.0
    estimated: bool = False


class PromptEngine(Protocol):
    """A language model that shortens prompts. Its text is untrusted: domain/prompts/guard.py checks it."""

    @property
    def name(self) -> str:
        """The service it runs on: `ollama` or `bedrock`."""

    @property
    def model(self) -> str: ...

    @property
    def price(self) -> TextPrice | None:
        """The price; `None` if it is free."""

    def rewrite(self, prompt: str, limit: int, timeout: float) -> Rewrite:
        """The prompt in fewer than about `limit` characters, within `timeout` seconds.

        Raises ProviderFailure, with its cost.
        """

    def health(self, timeout: float) -> bool:
        """Whether it answers now."""


@dataclass(frozen=True, slots=True)
class Purged:
    """Ids of models: those that were removed from memory, and those that remain."""

    removed: tuple[str, ...]
    remaining: tuple[str, ...]


@runtime_checkable
class ModelCache(Protocol):
    """A provider that keeps models in memory and can unload them at once."""

    def purge(self, model_id: str | None, timeout: float) -> Purged:
        """Remove one model, or all, from memory. Raises ProviderFailure."""

"""The ports to image services, to the models that shorten prompts, and to what is known of their health."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from lambdas.domain.jobs.request import GeneratedImage, ImageTask, Ticket
from lambdas.domain.prompts.prices import TextPrice
from lambdas.domain.routing.health import Health, Seen


class Provider(Protocol):
    """An image service. Adding one: lambdas/providers/README.md."""

    def paint(self, order: ImageTask, timeout: float) -> GeneratedImage:
        """Make one image within `timeout` seconds, in one paid call, never retried here.

        Raises ProviderFailure for everything that is not an image.
        """


@runtime_checkable
class TicketProvider(Protocol):
    """An image service whose work outlives the call that starts it.

    `client_chooses_id`: whether the work's id is `order.id`, so that it can be asked after by whoever knows the
    order, even where the answer to `submit` was lost. `notifies_completion`: `requeue_finished_job` is called at the
    end of the work, so that no run has to wait for it.
    """

    client_chooses_id: bool
    notifies_completion: bool

    def submit(self, order: ImageTask, timeout: float) -> Ticket:
        """Start one image in one paid call, never retried here. Raises ProviderFailure.

        Where the service lets the client choose the id of the work, it is `order.id`.
        """

    def collect(self, ticket: Ticket, order: ImageTask, timeout: float) -> GeneratedImage | None:
        """Ask once whether the work is done: its image, or `None` while it goes on.

        Raises ProviderFailure: `unavailable` or `throttled` where asking failed and may be tried again, `failed`
        or `content_policy` where the work ended without an image, `outcome_unknown` where the service does not
        know the ticket. Asking costs nothing and may be repeated without limit.
        """


class Providers(Protocol):
    def configured(self) -> frozenset[str]:
        """The ids of the providers that could be called now."""

    def get(self, provider_id: str) -> Provider | TicketProvider:
        """The provider, imported on first use."""


class ProviderHealth(Protocol):
    """What all functions together have lately seen of the providers. Never raises: without it, all look well."""

    def snapshot(self) -> Mapping[str, Health]:
        """By provider id, a few seconds old at the most; a provider that was not called lately is not in it."""

    def observe(self, provider: str, model: str, seen: Seen, seconds: float, cost: float, now: float) -> None:
        """A call ended so at `now`."""

    def claim_probe(self, provider: str, now: float) -> bool:
        """Ask before calling a provider that health.may_call says `probe` of: whether the caller may call it.

        True for one caller over all functions, until its outcome is observed or health.PROBE_SECONDS have passed;
        for every caller once the provider is open again.
        """


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a language model wrote, and what it charged in USD: `estimated` where its answer counts no tokens."""

    text: str
    cost_usd: float = 0.0
    estimated: bool = False


class PromptEngine(Protocol):
    """A language model that shortens prompts. Its rewrites are strangers' text: domain/prompts/guard.py judges them."""

    @property
    def name(self) -> str:
        """The service it runs on: `ollama` or `bedrock`."""

    @property
    def model(self) -> str: ...

    @property
    def price(self) -> TextPrice | None:
        """`None`: it costs nothing."""

    def rewrite(self, prompt: str, limit: int, timeout: float) -> Rewrite:
        """The prompt in fewer than `limit` characters, as well as the model can count, within `timeout` seconds.

        Raises ProviderFailure for everything else, with what it cost.
        """

    def health(self, timeout: float) -> bool:
        """Whether it would answer now."""


@dataclass(frozen=True, slots=True)
class Purged:
    """Ids of models: those that were taken out of memory, and those that are still there."""

    removed: tuple[str, ...]
    remaining: tuple[str, ...]


@runtime_checkable
class ModelCache(Protocol):
    """A provider that keeps models in memory and can be told at once to let them go."""

    def purge(self, model_id: str | None, timeout: float) -> Purged:
        """Take one model, or all, out of memory. Raises ProviderFailure."""

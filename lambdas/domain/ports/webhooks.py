"""The ports of outgoing events: where they are kept, how they are handed over, and who receives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from lambdas.domain.webhooks import Event, State


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, newest first, and where the next page begins (`None`: this was the last)."""

    events: list[Event]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one attempt. `status` is `None` where no answer came; `error` says then why, in a few words."""

    status: int | None
    error: str = ""
    retry_after: float | None = None  # seconds that the receiver asks for


class Outbox(Protocol):
    """The events, and the addresses that want no more. The port Jobs puts an event in together with its job's end."""

    def get(self, tenant: str, job_id: str) -> Event | None: ...

    def move(self, before: Event, after: Event) -> bool:
        """Write `after` where the event still is as `before`; False where it is not, and then nothing is written."""

    def list(self, tenant: str, state: State | None, limit: int, cursor: str | None) -> EventPage: ...

    def disable(self, tenant: str, url: str, until: float) -> None:
        """Send the tenant's events to this address no more."""

    def enable(self, tenant: str, url: str) -> None: ...

    def disabled(self, tenant: str, url: str, now: float) -> bool: ...


class EventQueue(Protocol):
    def send(self, tenant: str, job_id: str, due: int, *, delay: int) -> None:
        """Send a message about the event to its function that arrives after `delay` seconds, 900 at the most."""


class Receiver(Protocol):
    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
        """Send once, within `timeout` seconds in all, to public addresses alone. Whatever the peer does is a reply."""


class Signer(Protocol):
    def signature(self, tenant: str, message_id: str, now: float, body: bytes) -> str | None:
        """The `webhook-signature`, of each of the tenant's living secrets; `None` where there is none."""


class WebhookUrls(Protocol):
    def refusal(self, url: str) -> str | None:
        """What is wrong with the address of a webhook, as far as it can be seen now; `None` where nothing is."""


class WebhookMeter(Protocol):
    """Figures about events, for the dashboards."""

    def webhook_delivered(self) -> None: ...

    def webhook_failed(self) -> None:
        """One attempt failed."""

    def webhook_exhausted(self) -> None:
        """An event was given up."""

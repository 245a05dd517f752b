"""List a tenant's webhook events, and deliver one again."""

from __future__ import annotations

from lambdas.domain import ids
from lambdas.domain.errors import NotFound, WebhookPending
from lambdas.domain.ports.webhooks import EventPage
from lambdas.domain.webhooks import PENDING, Event, State
from lambdas.usecases.deps import Deps
from lambdas.usecases.webhooks.announce import send_now

# Delay of a replay's first message: by then the event is written, or the function has died.
SAFE_SECONDS = 60


def list_webhooks(tenant: str, state: State | None, limit: int, cursor: str | None, deps: Deps) -> EventPage:
    """Newest first. Raises InvalidRequest for a cursor that was never given out."""
    return deps.outbox.list(tenant, state, limit, cursor)


def replay_webhook(tenant: str, job_id: str, deps: Deps) -> Event:
    """Deliver again with the same `webhook-id`; an address disabled by a 410 is enabled again.

    Raises NotFound, and WebhookPending for an event that is being delivered.
    """
    event = deps.outbox.get(tenant, job_id) if ids.JOB_ID.fullmatch(job_id) else None
    if event is None:
        raise NotFound("no such webhook")
    if event.state == PENDING:
        raise WebhookPending("this webhook is being delivered; it can be sent again when that has ended")
    again = event.again(deps.clock.now())
    # Before the event, so that no crash can leave it pending without a message.
    deps.events.send(tenant, job_id, again.due, delay=SAFE_SECONDS)
    deps.outbox.enable(tenant, event.url)
    if not deps.outbox.move(event, again):
        raise WebhookPending("this webhook is being delivered; it can be sent again when that has ended")
    send_now(again, deps)
    return again

"""What the webhooks function does with a message: one attempt to deliver one event, and what follows from it.

Messages may be lost to nobody, come twice, late or in any order. Whoever makes an event due at a time has sent, before,
a message that names this time; so an event that is pending has a message on its way, and one that names an earlier
time has a successor.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from lambdas.domain.jobs.job import Job
from lambdas.domain.ports.jobs import Jobs
from lambdas.domain.ports.runtime import Clock
from lambdas.domain.ports.webhooks import EventQueue, Outbox, Receiver, Reply, Signer, WebhookMeter
from lambdas.domain.webhooks import (
    DELIVERED,
    DISABLED,
    DISABLED_SECONDS,
    EXHAUSTED,
    LEASE_SECONDS,
    MAX_ATTEMPTS,
    MAX_DELAY,
    PENDING,
    POST_SECONDS,
    Event,
    next_due,
)

USER_AGENT = "image-api-webhooks/1"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The ports. `render` makes the body, anew for every attempt, because the URLs in it expire."""

    jobs: Jobs
    outbox: Outbox
    events: EventQueue
    receiver: Receiver
    signer: Signer
    clock: Clock
    meter: WebhookMeter
    render: Callable[[Event, Job], bytes]


def deliver_webhook(tenant: str, job_id: str, due: int, d: Delivery) -> None:
    """Whatever it raises leaves the message in its queue, and it comes again."""
    event = d.outbox.get(tenant, job_id)
    if event is None or event.state != PENDING or due < event.due:
        return
    now = d.clock.now()
    if max(due, now) >= event.expires_at:  # no message goes round for longer than the event itself is kept
        _give_up(event, event.ended(EXHAUSTED, event.last_error or "the time of this event is over"), d)
        return
    wait = math.ceil(max(due, event.lease_until) - now)
    if wait > 0:
        d.events.send(tenant, job_id, due, delay=min(MAX_DELAY, wait))
        return
    if d.outbox.disabled(tenant, event.url, now):
        d.outbox.move(event, event.ended(DISABLED, "this address answered 410 Gone to an earlier event"))
        return
    job = d.jobs.get(tenant, job_id)
    if job is None:
        _give_up(event, event.ended(EXHAUSTED, "the job's record is gone"), d)
        return
    if event.attempts >= MAX_ATTEMPTS:  # each of them died before it could say what came of it
        _give_up(event, event.ended(EXHAUSTED, event.last_error or "no attempt came to its end"), d)
        return
    body = d.render(event, job)
    signature = d.signer.signature(tenant, event.id, now, body)
    if signature is None:
        _give_up(event, event.ended(EXHAUSTED, "there is no signing secret for this tenant"), d)
        return
    claimed = event.claimed(now)
    if not d.outbox.move(event, claimed):
        # Another attempt was first. It may be this very message's, delivered twice, and die: so somebody looks again.
        d.events.send(tenant, job_id, due, delay=LEASE_SECONDS)
        return
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": event.id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": signature,
    }
    _settle(event, claimed, d.receiver.post(event.url, body, headers, POST_SECONDS), d)


def _settle(event: Event, claimed: Event, reply: Reply, d: Delivery) -> None:
    """Write what came of the attempt; `event` is as it was before it."""
    if reply.status is not None and 200 <= reply.status < 300:
        d.meter.webhook_delivered()
        d.outbox.move(claimed, claimed.ended(DELIVERED, status=reply.status))
        return
    d.meter.webhook_failed()
    error = reply.error or f"HTTP {reply.status}"
    if reply.status == 410:
        d.outbox.disable(event.tenant, event.url, d.clock.now() + DISABLED_SECONDS)
        d.outbox.move(claimed, claimed.ended(DISABLED, error, reply.status))
        return
    due = next_due(claimed.attempts, reply.retry_after, d.clock.now(), random.Random())
    if due is None:
        _give_up(claimed, claimed.ended(EXHAUSTED, error, reply.status), d)
        return
    try:
        d.events.send(event.tenant, event.job_id, due, delay=max(0, min(MAX_DELAY, math.ceil(due - d.clock.now()))))
    except Exception:
        # This message stays, and must find the event as it names it; an outage of the queue uses no attempt up.
        d.outbox.move(claimed, event)
        raise
    d.outbox.move(claimed, claimed.failed(due, error, reply.status))


def _give_up(before: Event, after: Event, d: Delivery) -> None:
    if d.outbox.move(before, after):
        d.meter.webhook_exhausted()

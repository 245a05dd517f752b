"""Handle a message of the webhooks queue: one attempt to deliver one event, and its consequences.

SQS delivers at least once, late and unordered. Invariant: a message with `due` T is sent before the event's `due` is
set to T. So every pending event has a message in flight, and a message with an earlier `due` has a successor.
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
    """The ports. `render` makes the body, for each attempt anew, because the URLs in it expire."""

    jobs: Jobs
    outbox: Outbox
    events: EventQueue
    receiver: Receiver
    signer: Signer
    clock: Clock
    meter: WebhookMeter
    render: Callable[[Event, Job], bytes]


def deliver_webhook(tenant: str, job_id: str, due: int, d: Delivery) -> None:
    """Any exception leaves the message in the queue, which delivers it again."""
    event = d.outbox.get(tenant, job_id)
    if event is None or event.state != PENDING or due < event.due:
        return
    now = d.clock.now()
    if max(due, now) >= event.expires_at:  # messages end before the event's record expires
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
    if event.attempts >= MAX_ATTEMPTS:  # each run died before it stored its result
        _give_up(event, event.ended(EXHAUSTED, event.last_error or "no attempt came to its end"), d)
        return
    body = d.render(event, job)
    signature = d.signer.signature(tenant, event.id, now, body)
    if signature is None:
        _give_up(event, event.ended(EXHAUSTED, "there is no signing secret for this tenant"), d)
        return
    claimed = event.claimed(now)
    if not d.outbox.move(event, claimed):
        # Another attempt was first, perhaps of this same message, and may die: look again after its lease.
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
    """Store the result of the attempt. `event` is as it was before the attempt."""
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
        # This message is delivered again and must find the event as it was: an outage of the queue uses no attempt.
        d.outbox.move(claimed, event)
        raise
    d.outbox.move(claimed, claimed.failed(due, error, reply.status))


def _give_up(before: Event, after: Event, d: Delivery) -> None:
    if d.outbox.move(before, after):
        d.meter.webhook_exhausted()

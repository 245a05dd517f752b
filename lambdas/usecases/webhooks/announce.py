"""Hand the event of a job that has ended over to the function that delivers it."""

from __future__ import annotations

import logging

from lambdas.domain.jobs.job import Job
from lambdas.domain.webhooks import PENDING, Event, event_of
from lambdas.usecases.deps import Deps

log = logging.getLogger(__name__)


def announce(job: Job, deps: Deps) -> None:
    """Right after the job was written: where this was its final state, its event is with it. Never raises.

    An event that is not sent here, because the queue or this process fails, is sent by the job's watchdog: see
    `announce_undelivered`.
    """
    event = event_of(job)
    if event is not None:
        send_now(event, deps)


def send_now(event: Event, deps: Deps) -> None:
    """A first message that another one, on its way already, stands in for. Never raises."""
    try:
        deps.events.send(event.tenant, event.job_id, event.due, delay=0)
    except Exception as failure:  # noqa: BLE001 - whatever it is, what the client asked for is done
        log.warning("the webhook is handed over later", extra={"job_id": event.job_id, "reason": str(failure)})


def announce_undelivered(job: Job, deps: Deps) -> None:
    """Hand over the event of a job in its final state where nobody has begun to deliver it. Raises the queue's errors.

    It may be handed over already: then the second message finds it delivered, or another attempt on its way.
    """
    if not job.request.webhook_url:
        return
    event = deps.outbox.get(job.tenant, job.id)
    if event is not None and event.state == PENDING and event.attempts == 0:
        deps.events.send(event.tenant, event.job_id, event.due, delay=0)

"""Queue the webhook event of a job that has ended."""

from __future__ import annotations

import logging

from lambdas.domain.jobs.job import Job
from lambdas.domain.webhooks import PENDING, Event, event_of
from lambdas.usecases.deps import Deps

log = logging.getLogger(__name__)


def announce(job: Job, deps: Deps) -> None:
    """Queue the event that was stored with the job's final state; nothing for an unfinished job. Never raises.

    An event that is not sent here, because the queue or this process fails, is sent by the job's watchdog: see
    `announce_undelivered`.
    """
    event = event_of(job)
    if event is not None:
        send_now(event, deps)


def send_now(event: Event, deps: Deps) -> None:
    """Queue a first message; another one, delayed, is under way already. Never raises."""
    try:
        deps.events.send(event.tenant, event.job_id, event.due, delay=0)
    except Exception as failure:  # noqa: BLE001 - the client's request is done in any case
        log.warning("the webhook is handed over later", extra={"job_id": event.job_id, "reason": str(failure)})


def announce_undelivered(job: Job, deps: Deps) -> None:
    """Queue the event of a job in its final state whose delivery has not begun. Raises the queue's errors.

    It may be queued already: then the second message finds it delivered, or another attempt under way.
    """
    if not job.request.webhook_url:
        return
    event = deps.outbox.get(job.tenant, job.id)
    if event is not None and event.state == PENDING and event.attempts == 0:
        deps.events.send(event.tenant, event.job_id, event.due, delay=0)

"""The worker function: runs jobs, called by the queue or, synchronously, by the api function."""

from __future__ import annotations

import time
from typing import Any

from lambdas import wiring
from lambdas.handlers import ready
from lambdas.handlers.batch import Message, handled
from lambdas.observability import logger
from lambdas.usecases.jobs.handle_message import handle_job_message

RESERVE_SECONDS = 10.0  # of the function's time, reserved for ending the job


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Messages of the queue, or the one job of a direct call."""
    deadline = time.time() + context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS

    def handle(message: Message, *, queued: bool = True) -> None:
        tenant, job_id, watchdog = message["tenant"], message["job_id"], message["watchdog"]
        handle_job_message(tenant, job_id, deadline, wiring.live(), watchdog=watchdog, queued=queued)

    if "Records" in event:
        return handled(event, handle)
    logger.append_keys(job_id=event["job_id"])
    handle({**event, "watchdog": False}, queued=False)
    return {}


ready()

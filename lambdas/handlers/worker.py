"""The worker function: runs jobs, called by the queue or, synchronously, by the api function."""

from __future__ import annotations

import json
import time
from typing import Any

from lambdas import wiring
from lambdas.handlers import ready
from lambdas.observability import logger
from lambdas.usecases.jobs.handle_message import handle_job_message

RESERVE_SECONDS = 10.0  # of the function's time, reserved for ending the job


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run the jobs. Messages that could not be handled are returned to the queue by name."""
    deadline = time.time() + context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS
    if "Records" not in event:
        _attend({**event, "watchdog": False}, deadline, queued=False)
        return {}
    failed = []
    for record in event["Records"]:
        try:
            _attend(json.loads(record["body"]), deadline)
        except Exception:  # noqa: BLE001 - a message's failure must not affect others; it comes again
            logger.exception("message not handled", extra={"message_id": record["messageId"]})
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _attend(message: dict[str, Any], deadline: float, *, queued: bool = True) -> None:
    logger.append_keys(job_id=message["job_id"])
    tenant, job_id, watchdog = message["tenant"], message["job_id"], message["watchdog"]
    handle_job_message(tenant, job_id, deadline, wiring.live(), watchdog=watchdog, queued=queued)


ready()

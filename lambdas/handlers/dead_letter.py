"""The dead-letter function: ends the jobs whose messages the workers could not handle."""

from __future__ import annotations

import json
from typing import Any

from lambdas import wiring
from lambdas.handlers import ready
from lambdas.observability import job_dead_lettered, logger
from lambdas.usecases.jobs.handle_message import fail_dead_lettered_job


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """End the jobs. A job that another run still holds stays in the queue and is checked again."""
    failed = []
    for record in event["Records"]:
        try:
            message = json.loads(record["body"])
            logger.append_keys(job_id=message["job_id"])
            if not fail_dead_lettered_job(message["tenant"], message["job_id"], wiring.live()):
                failed.append({"itemIdentifier": record["messageId"]})
                continue
            job_dead_lettered()
            logger.error("job given up")
        except Exception:  # noqa: BLE001 - a message's failure must not affect others; it stays in the queue
            logger.exception("message not handled", extra={"message_id": record["messageId"]})
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


ready()

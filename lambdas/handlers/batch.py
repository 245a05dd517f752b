"""A batch of SQS messages, each handled for itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from lambdas.observability import logger

Message = dict[str, Any]


def handled(event: dict[str, Any], handle: Callable[[Message], bool | None]) -> dict[str, Any]:
    """Handle each message; those that failed, or for which `handle` returns False, go back to the queue by name."""
    failed = []
    for record in event["Records"]:
        try:
            message = json.loads(record["body"])
            logger.append_keys(job_id=message["job_id"])
            done = handle(message) is not False
        except Exception:  # noqa: BLE001 - one message's failure is its own; it comes again
            logger.exception("message not handled", extra={"message_id": record["messageId"]})
            done = False
        if not done:
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}

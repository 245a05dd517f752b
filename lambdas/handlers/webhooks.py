"""The webhooks function: sends the ends of jobs to clients' servers, one message at a time."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from lambdas import wiring
from lambdas.api.schemas.webhooks import render
from lambdas.handlers import ready
from lambdas.observability import logger
from lambdas.usecases.webhooks.deliver import Delivery, deliver_webhook


@cache
def _delivery() -> Delivery:
    return wiring.delivery(render)


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Deliver the webhooks. Messages that could not be handled are returned to the queue by name."""
    failed = []
    for record in event["Records"]:
        try:
            message = json.loads(record["body"])
            logger.append_keys(job_id=message["job_id"])
            deliver_webhook(message["tenant"], message["job_id"], message["due"], _delivery())
        except Exception:  # noqa: BLE001 - a message's failure must not affect others; it comes again
            logger.exception("message not handled", extra={"message_id": record["messageId"]})
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


ready()

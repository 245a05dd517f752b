"""The webhooks function: sends the ends of jobs to clients' servers, one message at a time."""

from __future__ import annotations

from functools import cache
from typing import Any

from lambdas import wiring
from lambdas.api.schemas.webhooks import render
from lambdas.handlers import ready
from lambdas.handlers.batch import Message, handled
from lambdas.usecases.webhooks.deliver import Delivery, deliver_webhook


@cache
def _delivery() -> Delivery:
    return wiring.delivery(render)


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    return handled(event, _deliver)


def _deliver(message: Message) -> None:
    deliver_webhook(message["tenant"], message["job_id"], message["due"], _delivery())


ready()

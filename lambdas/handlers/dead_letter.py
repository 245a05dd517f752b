"""The dead-letter function: ends the jobs whose messages the workers could not handle."""

from __future__ import annotations

from typing import Any

from lambdas import wiring
from lambdas.handlers import ready
from lambdas.handlers.batch import Message, handled
from lambdas.observability import job_dead_lettered, logger
from lambdas.usecases.jobs.handle_message import fail_dead_lettered_job


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    return handled(event, _end)


def _end(message: Message) -> bool:
    """A job that another run still holds stays in the queue and is looked at again."""
    if not fail_dead_lettered_job(message["tenant"], message["job_id"], wiring.live()):
        return False
    job_dead_lettered()
    logger.error("job given up")
    return True


ready()

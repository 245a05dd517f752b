"""Writes logs as lines of JSON, without prompts and pictures."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

log: Final = logging.getLogger("gpu_worker")

QUOTE: Final = 12  # characters; a message that shares this many with a prompt quotes it
MAX_MESSAGE: Final = 300

# Their warnings quote the words of a prompt that were cut.
CHATTY: Final = ("diffusers", "transformers")


class JsonLines(logging.Formatter):
    """One JSON object a line; the fields of `extra={"fields": {...}}` are added to it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
        return json.dumps(line, default=str)


def set_up(level: str) -> None:
    """Log to standard output. Raises ValueError for an unknown level."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def say(level: int, message: str, **fields: Any) -> None:
    """Log a message with fields, without those that are None."""
    log.log(level, message, extra={"fields": {name: value for name, value in fields.items() if value is not None}})


def failure(message: str, error: BaseException, secrets: Iterable[str] = (), **fields: Any) -> None:
    """Log an exception with its stack; its message is withheld if it quotes one of the secrets."""
    words = str(error)[:MAX_MESSAGE]
    if any(_shares(words, secret) for secret in secrets if secret):
        words = "(withheld: it quotes the request)"
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    say(logging.ERROR, message, error=type(error).__name__, said=words, at=places[-12:], **fields)


def _shares(words: str, secret: str) -> bool:
    if len(secret) <= QUOTE:
        return secret in words
    return any(words[i : i + QUOTE] in secret for i in range(len(words) - QUOTE + 1))

"""Reads the log of the code under test, which Powertools and the standard library write."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import Any

from lambdas.observability import logger


@contextmanager
def written() -> Iterator[StringIO]:
    """Everything that is logged at INFO and above, and every metric, as lines of text."""
    text = StringIO()
    own, others = logger.registered_handler, logging.StreamHandler(text)
    others.setFormatter(_Everything())
    root, stream = logging.getLogger(), own.stream  # type: ignore[attr-defined]
    level = root.level
    own.stream = text  # type: ignore[attr-defined]
    root.addHandler(others)
    root.setLevel(logging.INFO)
    try:
        with redirect_stdout(text):
            yield text
    finally:
        own.stream = stream  # type: ignore[attr-defined]
        root.removeHandler(others)
        root.setLevel(level)


def lines(text: StringIO) -> list[dict[str, Any]]:
    """The lines that are JSON, as CloudWatch reads them."""
    return [json.loads(line) for line in text.getvalue().splitlines() if line.startswith("{")]


def fields(line: dict[str, Any]) -> set[str]:
    """The names under which Logs Insights knows a line's values."""
    found = set()
    for name, value in line.items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}" for inner in fields(value)}
        elif isinstance(value, list):
            found |= {f"{name}.{number}" for number in range(len(value))} | {name}
        else:
            found.add(name)
    return found


class _Everything(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"[{record.levelname}] {super().format(record)} {vars(record)}"

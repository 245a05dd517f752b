"""Reads CloudWatch metrics out of a function's log lines (embedded metric format)."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple


class Metric(NamedTuple):
    """One value as PutMetricData takes it."""

    namespace: str
    name: str
    value: float
    unit: str
    dimensions: dict[str, str]


def metrics(log: str) -> Iterator[Metric]:
    """Yield every metric in a block of log lines. Lines that are not EMF are skipped, as CloudWatch does."""
    for line in log.splitlines():
        if '"_aws"' in line:
            try:
                yield from list(_of(json.loads(line)))
            except (ValueError, TypeError, KeyError, AttributeError):
                continue


def _of(record: dict[str, Any]) -> Iterator[Metric]:
    for directive in record["_aws"]["CloudWatchMetrics"]:
        for names in directive.get("Dimensions") or [[]]:
            dimensions = {name: str(record[name]) for name in names}
            for metric in directive["Metrics"]:
                values = record[metric["Name"]]
                for value in values if isinstance(values, list) else [values]:
                    unit = metric.get("Unit", "None")
                    yield Metric(directive["Namespace"], metric["Name"], float(value), unit, dimensions)

"""Stores the providers' health in DynamoDB, shared by all functions.

One item per provider holds its statistics as a JSON document with a version number. A write that finds a newer
version is computed again from it. After TRIES attempts the observation is dropped: one of so many is not missed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import Values, plain, values
from lambdas.adapters.dynamodb.writes import compare_and_swap
from lambdas.domain.routing.health import Health, Seen, may_call, observed, probing

MEMORY_SECONDS: Final = 3.0  # maximum age of the statistics that a call is routed by
TRIES: Final = 12
KEPT_SECONDS: Final = 24 * 3600  # a provider not called for a day has no history


class DynamoHealth:
    """Implements the port ProviderHealth with the table `providers`. An unreachable table raises nothing."""

    def __init__(self, table: str, memory_seconds: float = MEMORY_SECONDS) -> None:
        self._table = table
        self._memory_seconds = memory_seconds
        self._read_at = -memory_seconds
        self._seen: dict[str, Health] = {}

    def snapshot(self) -> Mapping[str, Health]:
        if time.monotonic() - self._read_at >= self._memory_seconds:
            self._read_at = time.monotonic()  # also after a failure, to spare a failing table
            self._seen = self._read_all() or self._seen
        return dict(self._seen)

    def observe(self, provider: str, model: str, seen: Seen, seconds: float, cost: float, now: float) -> None:
        self._change(provider, lambda health: observed(health, seen, seconds, cost, now, model))

    def claim_probe(self, provider: str, now: float) -> bool:
        found = ""

        def claim(health: Health) -> Health | None:
            nonlocal found
            found = may_call(health, now)
            return probing(health, now) if found == "probe" else None

        return self._change(provider, claim) or found == "yes"

    def _change(self, provider: str, change: Callable[[Health], Health | None]) -> bool:
        """Replace the statistics by the result of `change`; False if that is None or could not be written."""

        def swap(found: Values | None) -> Values | None:
            before = _health(found)
            after = change(before)
            if after is None:
                self._seen[provider] = before
                return None
            document = json.dumps(after.to_dict(), separators=(",", ":"))
            return {"doc": document, "expires_at": int(after.updated) + KEPT_SECONDS}

        db = aws.dynamodb_once()
        try:
            written = compare_and_swap(db, self._table, "health", provider, swap, tries=TRIES, resend=True)
        except aws.failures():
            return False
        if written is None:
            return False
        self._seen[provider] = _health(written)
        return True

    def _read_all(self) -> dict[str, Health]:
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": values(pk="health"),
        }
        try:
            items = aws.dynamodb_once().query(**query)["Items"]  # a handful of providers: one page
        except aws.failures():
            return {}
        return {found["sk"]: _health(found) for found in map(plain, items)}


def _health(found: Values | None) -> Health:
    return Health.from_dict(json.loads(found["doc"])) if found else Health()

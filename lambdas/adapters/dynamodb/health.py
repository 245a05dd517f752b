"""The providers' health in DynamoDB, shared by all functions.

One item per provider holds its statistics as a JSON document under a version number. A writer that was overtaken
starts from what it finds; after a few times it lets its observation go: among so many it is not missed.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

from lambdas.adapters import aws
from lambdas.domain.errors import Unavailable
from lambdas.domain.routing.health import Health, Seen, may_call, observed, probing

MEMORY_SECONDS: Final = 3.0  # how old the picture may be by which a call is routed
TRIES: Final = 12
KEPT_SECONDS: Final = 24 * 3600  # a provider not called for a day has no history


class DynamoHealth:
    """The port ProviderHealth over the table `providers`. A table out of reach costs knowledge, never an image."""

    def __init__(self, table: str, memory_seconds: float = MEMORY_SECONDS) -> None:
        self._table = table
        self._memory_seconds = memory_seconds
        self._read_at = -memory_seconds
        self._seen: dict[str, Health] = {}

    def snapshot(self) -> Mapping[str, Health]:
        if time.monotonic() - self._read_at >= self._memory_seconds:
            self._read_at = time.monotonic()  # also after a failure: a table in trouble is not asked every time
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
        """Write what `change` makes of the item as it is; False where that is nothing, or could not be written."""
        from botocore.exceptions import BotoCoreError, ClientError

        db = aws.dynamodb_once()
        token = uuid.uuid4().hex
        at: dict[str, Any] = {"TableName": self._table, "Key": {"pk": {"S": "health"}, "sk": {"S": provider}}}
        try:
            item = db.get_item(**at, ConsistentRead=True).get("Item")
            for attempt in range(TRIES):
                health = change(_health(item))
                if health is None:
                    self._seen[provider] = _health(item)
                    return False
                try:
                    db.update_item(**at, **_update(health, item, token))
                except db.exceptions.ConditionalCheckFailedException as overtaken:
                    left = overtaken.response.get("Item")  # by the other writer; not every emulator tells
                    left = left or db.get_item(**at, ConsistentRead=True).get("Item")
                    if not left or left.get("written_by", {}).get("S") != token:
                        time.sleep(random.uniform(0, 0.01) * attempt)
                        item = left
                        continue
                except Unavailable:
                    if attempt:
                        return False
                    continue  # once more; if it was written nevertheless, that shows by whom
                self._seen[provider] = health
                return True
        except (BotoCoreError, ClientError, Unavailable):
            pass
        return False

    def _read_all(self) -> dict[str, Health]:
        from botocore.exceptions import BotoCoreError, ClientError

        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": "health"}},
        }
        try:
            items = aws.dynamodb_once().query(**query)["Items"]  # a handful of providers: one page
        except (BotoCoreError, ClientError, Unavailable):
            return {}
        return {item["sk"]["S"]: _health(item) for item in items}


def _health(item: dict[str, Any] | None) -> Health:
    return Health.from_dict(json.loads(item["doc"]["S"])) if item else Health()


def _update(health: Health, item: dict[str, Any] | None, token: str) -> dict[str, Any]:
    version = int(item["version"]["N"]) if item else 0
    values = {
        ":doc": {"S": json.dumps(health.to_dict(), separators=(",", ":"))},
        ":next": {"N": str(version + 1)},
        ":expires": {"N": str(int(health.updated) + KEPT_SECONDS)},
        ":token": {"S": token},
    }
    return {
        "UpdateExpression": "SET doc = :doc, version = :next, expires_at = :expires, written_by = :token",
        "ConditionExpression": "version = :version" if item else "attribute_not_exists(pk)",
        "ExpressionAttributeValues": values | ({":version": {"N": str(version)}} if item else {}),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }

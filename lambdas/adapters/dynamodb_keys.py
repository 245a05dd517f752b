"""API keys in DynamoDB, by the hash of the key."""

from __future__ import annotations

import time

from lambdas.adapters import aws

CACHE_SECONDS = 30.0  # a revoked key is refused within this time


class DynamoKeys:
    """The port Keys, with a short memory so that a busy client does not cost a read per request."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._seen: dict[str, tuple[float, str | None]] = {}

    def tenant_of(self, key_hash: str) -> str | None:
        now = time.monotonic()
        known = self._seen.get(key_hash)
        if known and known[0] > now:
            return known[1]
        key = {"pk": {"S": key_hash}, "sk": {"S": "key"}}
        item = aws.client("dynamodb").get_item(TableName=self._table, Key=key).get("Item")
        tenant = item["tenant"]["S"] if item and "revoked_at" not in item else None
        if len(self._seen) > 1000:  # a flood of made-up keys must not fill the memory
            self._seen.clear()
        self._seen[key_hash] = (now + CACHE_SECONDS, tenant)
        return tenant

"""API keys in DynamoDB, by the hash of the key: what the authorizer asks."""

from __future__ import annotations

import time

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import get_item

CACHE_SECONDS = 30.0  # a revoked key is refused, and a new one known, within this time
CACHED = 1000


class DynamoKeys:
    """The port Keys, with a short memory so that a busy client does not cost a read per request.

    The record is found by the hash itself, so there is no comparison here that could be timed: domain/api_keys.py.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        self._seen: dict[str, tuple[float, str | None]] = {}

    def tenant_of(self, key_hash: str) -> str | None:
        now = time.monotonic()
        known = self._seen.get(key_hash)
        if known and known[0] > now:
            return known[1]
        db = aws.client("dynamodb", read_timeout=1.0, attempts=2)  # the authorizer has 5 s in all
        found = get_item(self._table, key_hash, "key", db=db, consistent=False)
        tenant = found["tenant"] if found and _living(found.get("revoked_at")) else None
        if len(self._seen) >= CACHED:  # a flood of made-up keys must not fill the memory
            self._seen.clear()
        self._seen[key_hash] = (now + CACHE_SECONDS, tenant)
        return tenant


def _living(revoked_at: object) -> bool:
    """No number: revoked by hand."""
    return revoked_at is None or (isinstance(revoked_at, (int, float)) and time.time() < revoked_at)

"""Looks up API keys in DynamoDB by their hash, for the authorizer."""

from __future__ import annotations

import time

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import get_item

CACHE_SECONDS = 30.0  # maximum delay until a revoked key is refused and a new key accepted
CACHED = 1000


class DynamoKeys:
    """Implements the port Keys, with a short cache: a busy client does not cost a read per request.

    The hash is the item's key, so no comparison of secrets can be timed; see domain/api_keys.py.
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
        tenant = found["tenant"] if found and _is_valid(found.get("revoked_at")) else None
        if len(self._seen) >= CACHED:  # invalid keys must not fill the memory
            self._seen.clear()
        self._seen[key_hash] = (now + CACHE_SECONDS, tenant)
        return tenant


def _is_valid(revoked_at: object) -> bool:
    """Return whether a key is not revoked yet. A value that is no number revokes it: somebody wrote it by hand."""
    return revoked_at is None or (isinstance(revoked_at, (int, float)) and time.time() < revoked_at)

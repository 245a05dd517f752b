"""Stores the keys that sign links in DynamoDB: one item per key, and one per tenant that names its current key."""

from __future__ import annotations

import time
from typing import Any

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import get_item, item, values
from lambdas.adapters.dynamodb.transactions import transact
from lambdas.domain.errors import Unavailable
from lambdas.domain.links import LinkKey, new_link_key

CACHE_SECONDS = 30.0  # maximum delay until a key that a rotation has ended is refused
CACHED = 1000
_NEW = "attribute_not_exists(pk)"


class DynamoLinkKeys:
    """Implements the port LinkKeys. Every item's partition begins with `link#`: the api function may use no other."""

    def __init__(self, table: str, client: Any = None) -> None:
        self._table = table
        self._given = client
        self._seen: dict[str, tuple[float, LinkKey | None]] = {}

    def get(self, kid: str) -> LinkKey | None:
        now = time.monotonic()
        known = self._seen.get(kid)
        if known and known[0] > now:
            return known[1]
        found = self._read(kid)
        if len(self._seen) >= CACHED:  # ids that nobody has must not fill the memory
            self._seen.clear()
        self._seen[kid] = (now + CACHE_SECONDS, found)
        return found

    def of(self, tenant: str, now: float) -> LinkKey:
        for _ in range(2):  # another request may make the first key at the same time
            if (found := self.current(tenant)) is not None:
                return found
            made = new_link_key(tenant, now)
            if self.replace(None, made, 0.0):
                return made
        raise Unavailable("the link could not be signed; try again in a moment", retry_after=1)

    def current(self, tenant: str) -> LinkKey | None:
        """Return the key that signs the tenant's links; `None` if it has none yet."""
        found = get_item(self._table, _of(tenant), "current", db=self._db())
        return self._read(found["kid"]) if found else None

    def replace(self, old: LinkKey | None, new: LinkKey, until: float) -> bool:
        """Let `new` sign in place of `old`, whose links work on until then.

        False if another key has replaced `old` since it was read.
        """
        place: dict[str, Any] = {"ConditionExpression": _NEW}
        if old is not None:
            place = {"ConditionExpression": "kid = :old", "ExpressionAttributeValues": values(old=old.kid)}
        written = item(_by(new.kid), "link", tenant=new.tenant, secret=new.secret, created_at=new.created_at)
        parts: list[dict[str, Any]] = [
            {"Put": {"TableName": self._table, "Item": item(_of(new.tenant), "current", kid=new.kid), **place}},
            {"Put": {"TableName": self._table, "Item": written, "ConditionExpression": _NEW}},
        ]
        if old is not None:
            ended = {
                "TableName": self._table,
                "Key": item(_by(old.kid), "link"),
                "UpdateExpression": "SET valid_until = :until",
                "ConditionExpression": "attribute_exists(pk)",
                "ExpressionAttributeValues": values(until=until),
            }
            parts.append({"Update": ended})
        return not transact(parts, self._db())

    def _read(self, kid: str) -> LinkKey | None:
        found = get_item(self._table, _by(kid), "link", db=self._db())
        if found is None:
            return None
        until = found.get("valid_until")
        ends = None if until is None else float(until)
        return LinkKey(kid, found["tenant"], found["secret"], float(found["created_at"]), ends)

    def _db(self) -> Any:
        return self._given or aws.client("dynamodb")


def _by(kid: str) -> str:
    return f"link#{kid}"


def _of(tenant: str) -> str:
    return f"link#of#{tenant}"

"""Manages API keys and secrets in DynamoDB for the operator's command; functions write none but link keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lambdas.adapters.dynamodb.items import Raw, Values, get_item, item, plain, values
from lambdas.adapters.dynamodb.link_keys import DynamoLinkKeys
from lambdas.adapters.dynamodb.writes import refused
from lambdas.domain.api_keys import ApiKey, WebhookSecret, hash_of


class DynamoKeyRing:
    """Two items per key: the record under the key's hash, and the hash under the key's id.

    One item per tenant has its webhook secret in plain text, because signing needs the secret itself.
    """

    def __init__(self, client: Any, table: str) -> None:
        self._db = client
        self._table = table

    def add(self, key: str, record: ApiKey) -> None:
        hashed = hash_of(key)
        new = "attribute_not_exists(pk)"
        puts = [
            {"Put": {"TableName": self._table, "Item": row, "ConditionExpression": new}}
            for row in (_item(hashed, record), item(_by_id(record.id), "id", hash=hashed))
        ]
        self._db.transact_write_items(TransactItems=puts)

    def find(self, key_id: str) -> ApiKey | None:
        hashed = self._hash(key_id)
        found = self._get(hashed, "key") if hashed else None
        return _record(found) if found else None

    def of(self, tenant: str) -> list[ApiKey]:
        """Return all keys of a tenant, revoked ones included, oldest first."""
        pages = self._db.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="by_tenant",
            KeyConditionExpression="tenant = :t AND sk = :key",
            ExpressionAttributeValues=values(t=tenant, key="key"),
        )
        found = (_record(plain(row)) for page in pages for row in page["Items"])
        return sorted(found, key=lambda key: (key.created_at, key.id))

    def revoke(self, key_id: str, at: float) -> ApiKey | None:
        """Revoke the key from `at` on, unless it is revoked earlier. Returns the key; None if it is unknown."""
        hashed = self._hash(key_id)
        if hashed is None:
            return None
        left = refused(
            self._db,
            "update_item",
            TableName=self._table,
            Key=item(hashed, "key"),
            UpdateExpression="SET revoked_at = :at",
            ConditionExpression="attribute_exists(pk) AND (attribute_not_exists(revoked_at) OR revoked_at > :at)",
            ExpressionAttributeValues=values(at=at),
        )
        found = self.find(key_id)
        return replace(found, revoked_at=at) if found and left is None else found

    def webhook_secret(self, tenant: str) -> WebhookSecret | None:
        found = self._get(_secret_of(tenant), "secret")
        if found is None:
            return None
        previous, until = found.get("previous", ""), float(found.get("previous_until", 0))
        return WebhookSecret(found["secret"], float(found["created_at"]), previous, until)

    def keep_webhook_secret(self, tenant: str, new: WebhookSecret, old: WebhookSecret | None) -> bool:
        """Store `new` in place of `old`; False if another secret has replaced `old` since it was read."""
        before = {"previous": new.previous, "previous_until": new.previous_until} if new.previous else {}
        row = item(_secret_of(tenant), "secret", secret=new.value, created_at=new.created_at, **before)
        place: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if old is not None:
            place = {
                "ConditionExpression": "#secret = :old",
                "ExpressionAttributeNames": {"#secret": "secret"},
                "ExpressionAttributeValues": values(old=old.value),
            }
        return refused(self._db, "put_item", TableName=self._table, Item=row, **place) is None

    def link_keys(self) -> DynamoLinkKeys:
        return DynamoLinkKeys(self._table, self._db)

    def _hash(self, key_id: str) -> str | None:
        found = self._get(_by_id(key_id), "id")
        return found["hash"] if found else None

    def _get(self, pk: str, sk: str) -> Values | None:
        return get_item(self._table, pk, sk, db=self._db)


def _by_id(key_id: str) -> str:
    return f"id#{key_id}"


def _secret_of(tenant: str) -> str:
    return f"{tenant}#webhook"


def _item(hashed: str, record: ApiKey) -> Raw:
    kept = {"tenant": record.tenant, "key_id": record.id, "name": record.name, "tail": record.tail}
    return item(hashed, "key", **kept, created_at=record.created_at)


def _record(found: Values) -> ApiKey:
    return ApiKey(
        id=found["key_id"],
        tenant=found["tenant"],
        name=found["name"],
        tail=found["tail"],
        created_at=float(found["created_at"]),
        revoked_at=float(found["revoked_at"]) if "revoked_at" in found else None,
    )

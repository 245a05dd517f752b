"""API keys and webhook secrets in DynamoDB: what the operator's command does with them, and no function does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lambdas.domain.api_keys import ApiKey, WebhookSecret, hash_of

Item = dict[str, Any]


class DynamoKeyRing:
    """Two records of a key: one by the hash of the key, which tells all, and one by its id, which tells the hash.

    One record of each tenant's webhook secret, which is kept as it is: a signature takes the secret itself.
    """

    def __init__(self, client: Any, table: str) -> None:
        self._db = client
        self._table = table

    def add(self, key: str, record: ApiKey) -> None:
        hashed = hash_of(key)
        known = {"pk": {"S": _by_id(record.id)}, "sk": {"S": "id"}, "hash": {"S": hashed}}
        new = "attribute_not_exists(pk)"
        puts = [
            {"Put": {"TableName": self._table, "Item": item, "ConditionExpression": new}}
            for item in (_item(hashed, record), known)
        ]
        self._db.transact_write_items(TransactItems=puts)

    def find(self, key_id: str) -> ApiKey | None:
        hashed = self._hash(key_id)
        item = self._get(hashed, "key") if hashed else None
        return _record(item) if item else None

    def of(self, tenant: str) -> list[ApiKey]:
        """All keys of a tenant, also the revoked ones, oldest first."""
        pages = self._db.get_paginator("query").paginate(
            TableName=self._table,
            IndexName="by_tenant",
            KeyConditionExpression="tenant = :t AND sk = :key",
            ExpressionAttributeValues={":t": {"S": tenant}, ":key": {"S": "key"}},
        )
        return sorted((_record(item) for page in pages for item in page["Items"]), key=lambda k: (k.created_at, k.id))

    def revoke(self, key_id: str, at: float) -> ApiKey | None:
        """The key, not valid from `at` on, or from an earlier time already set; `None` where there is no such key."""
        hashed = self._hash(key_id)
        if hashed is None:
            return None
        try:
            self._db.update_item(
                TableName=self._table,
                Key={"pk": {"S": hashed}, "sk": {"S": "key"}},
                UpdateExpression="SET revoked_at = :at",
                ConditionExpression="attribute_exists(pk) AND (attribute_not_exists(revoked_at) OR revoked_at > :at)",
                ExpressionAttributeValues={":at": {"N": str(at)}},
            )
        except self._db.exceptions.ConditionalCheckFailedException:
            return self.find(key_id)
        found = self.find(key_id)
        return replace(found, revoked_at=at) if found else None

    def webhook_secret(self, tenant: str) -> WebhookSecret | None:
        item = self._get(_secret_of(tenant), "secret")
        if item is None:
            return None
        previous, until = item.get("previous", {}).get("S", ""), item.get("previous_until", {}).get("N", "0")
        return WebhookSecret(item["secret"]["S"], float(item["created_at"]["N"]), previous, float(until))

    def keep_webhook_secret(self, tenant: str, new: WebhookSecret, old: WebhookSecret | None) -> bool:
        """Whether `new` took the place of `old`, or of none; not where another is there by now."""
        item = {
            "pk": {"S": _secret_of(tenant)},
            "sk": {"S": "secret"},
            "secret": {"S": new.value},
            "created_at": {"N": str(new.created_at)},
        }
        if new.previous:
            item |= {"previous": {"S": new.previous}, "previous_until": {"N": str(new.previous_until)}}
        place: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if old is not None:
            place = {
                "ConditionExpression": "#secret = :old",
                "ExpressionAttributeNames": {"#secret": "secret"},
                "ExpressionAttributeValues": {":old": {"S": old.value}},
            }
        try:
            self._db.put_item(TableName=self._table, Item=item, **place)
        except self._db.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _hash(self, key_id: str) -> str | None:
        item = self._get(_by_id(key_id), "id")
        return item["hash"]["S"] if item else None

    def _get(self, pk: str, sk: str) -> Item | None:
        at = {"pk": {"S": pk}, "sk": {"S": sk}}
        item: Item | None = self._db.get_item(TableName=self._table, Key=at, ConsistentRead=True).get("Item")
        return item


def _by_id(key_id: str) -> str:
    return f"id#{key_id}"


def _secret_of(tenant: str) -> str:
    return f"{tenant}#webhook"


def _item(hashed: str, record: ApiKey) -> Item:
    return {
        "pk": {"S": hashed},
        "sk": {"S": "key"},
        "tenant": {"S": record.tenant},
        "key_id": {"S": record.id},
        "name": {"S": record.name},
        "tail": {"S": record.tail},
        "created_at": {"N": str(record.created_at)},
    }


def _record(item: Item) -> ApiKey:
    return ApiKey(
        id=item["key_id"]["S"],
        tenant=item["tenant"]["S"],
        name=item["name"]["S"],
        tail=item["tail"]["S"],
        created_at=float(item["created_at"]["N"]),
        revoked_at=float(item["revoked_at"]["N"]) if "revoked_at" in item else None,
    )

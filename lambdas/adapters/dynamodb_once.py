"""Put a record once per Idempotency-Key: the record and the key's own row in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lambdas.adapters import aws
from lambdas.adapters.dynamodb_transaction import FAILED, transact
from lambdas.domain.jobs import Idempotency

Item = dict[str, Any]


class ConditionFailed(Exception):
    """The condition of a further part did not hold: nothing was written."""


def put_once(put: Item, key: Idempotency | None, now: float, also: Sequence[Item] = ()) -> Idempotency | None:
    """`put` as PutItem takes it, with the parts of a transaction that are written `also` or not at all.

    Returns the living row of the same key, if any: then nothing was written. Raises ConditionFailed.
    """
    if key is None and not also:
        aws.client("dynamodb").put_item(**put)
        return None
    table = put["TableName"]
    rows = [{"Put": {"TableName": table, **_row(key, now)}}] if key else []
    reasons = transact([{"Put": put}, *rows, *also])
    if key and FAILED in reasons[1:2]:
        return _living(table, key)
    if FAILED in reasons[1:]:
        raise ConditionFailed
    if reasons:
        raise FileExistsError(f"there is a record of this id already in {table}")
    return None


def _living(table: str, wanted: Idempotency) -> Idempotency | None:
    at = {"pk": {"S": f"{wanted.tenant}#idempotency"}, "sk": {"S": wanted.key}}
    item = aws.client("dynamodb").get_item(TableName=table, Key=at, ConsistentRead=True).get("Item")
    if item is None:
        return None
    return replace(wanted, fingerprint=item["fingerprint"]["S"], job_id=item["job_id"]["S"])


def _row(key: Idempotency, now: float) -> Item:
    item = {
        "pk": {"S": f"{key.tenant}#idempotency"},
        "sk": {"S": key.key},
        "fingerprint": {"S": key.fingerprint},
        "job_id": {"S": key.job_id},
        "expires_at": {"N": str(key.expires_at)},
    }
    return {
        "Item": item,
        "ConditionExpression": "attribute_not_exists(pk) OR expires_at < :now",
        "ExpressionAttributeValues": {":now": {"N": str(int(now))}},
    }

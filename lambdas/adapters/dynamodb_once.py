"""Put a record once per Idempotency-Key: the record and the key's own row in one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lambdas.adapters import aws
from lambdas.domain.jobs import Idempotency

Item = dict[str, Any]


def put_once(put: Item, key: Idempotency | None, now: float) -> Idempotency | None:
    """`put` as PutItem takes it. Returns the living row of the same key, if any: then nothing was written."""
    db = aws.client("dynamodb")
    if key is None:
        db.put_item(**put)
        return None
    row = {
        "TableName": put["TableName"],
        "Item": _row(key),
        "ConditionExpression": "attribute_not_exists(pk) OR expires_at < :now",
        "ExpressionAttributeValues": {":now": {"N": str(int(now))}},
    }
    try:
        db.transact_write_items(TransactItems=[{"Put": put}, {"Put": row}])
    except db.exceptions.TransactionCanceledException as cancelled:
        reasons = [r.get("Code") for r in cancelled.response.get("CancellationReasons", [])]
        if "ConditionalCheckFailed" in reasons[1:]:
            return _living(put["TableName"], key)
        if "TransactionConflict" in reasons:
            # two equal requests in the same instant: the other one has written, or is about to
            return _living(put["TableName"], key) or put_once(put, key, now)
        raise
    return None


def _living(table: str, wanted: Idempotency) -> Idempotency | None:
    at = {"pk": {"S": f"{wanted.tenant}#idempotency"}, "sk": {"S": wanted.key}}
    item = aws.client("dynamodb").get_item(TableName=table, Key=at, ConsistentRead=True).get("Item")
    if item is None:
        return None
    return replace(wanted, fingerprint=item["fingerprint"]["S"], job_id=item["job_id"]["S"])


def _row(key: Idempotency) -> Item:
    return {
        "pk": {"S": f"{key.tenant}#idempotency"},
        "sk": {"S": key.key},
        "fingerprint": {"S": key.fingerprint},
        "job_id": {"S": key.job_id},
        "expires_at": {"N": str(key.expires_at)},
    }

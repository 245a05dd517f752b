"""Puts an item once per Idempotency-Key: the item and the key's own item in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import RETURN_OLD, Values, item, values
from lambdas.adapters.dynamodb.transactions import transact
from lambdas.adapters.dynamodb.writes import Part, refused
from lambdas.domain.jobs.job import Idempotency, RecordExists


class ConditionFailed(Exception):
    """The condition of one of the additional parts failed; nothing was written."""


def put_once(
    put: Part, key: Idempotency | None, now: float, mine: Callable[[Values], bool], also: Sequence[Part] = ()
) -> Idempotency | None:
    """Write `put` (the arguments of PutItem) together with the transaction parts in `also`.

    Returns the unexpired item of the same key, if there is one; nothing was written then. `mine` returns whether an
    existing item of the same id is the one to put: a write whose response was lost is repeated and finds its own item.
    Raises RecordExists if it is another item, and ConditionFailed.
    """
    if key is None and not also:
        found = refused(aws.client("dynamodb"), "put_item", **put, **RETURN_OLD)
        if found is not None and not mine(found):
            raise RecordExists
        return None
    rows = [{"Put": {"TableName": put["TableName"], **_row(key, now), **RETURN_OLD}}] if key else []
    reasons = transact([{"Put": {**put, **RETURN_OLD}}, *rows, *also])
    if not reasons or (reasons[0].failed and mine(reasons[0].item)):
        return None
    if key and reasons[1].failed:
        row = reasons[1].item
        return replace(key, fingerprint=row["fingerprint"], job_id=row["job_id"])
    if reasons[0].failed:
        raise RecordExists
    raise ConditionFailed


def _row(key: Idempotency, now: float) -> Part:
    kept = {"fingerprint": key.fingerprint, "job_id": key.job_id, "expires_at": key.expires_at}
    return {
        "Item": item(partition(key.tenant), key.key, **kept),
        "ConditionExpression": "attribute_not_exists(pk) OR expires_at < :now",
        "ExpressionAttributeValues": values(now=int(now)),
    }


def partition(tenant: str) -> str:
    return f"{tenant}#idempotency"

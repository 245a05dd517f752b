"""Put a record once per Idempotency-Key: the record and the key's own row in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import TELL, Values, item, values
from lambdas.adapters.dynamodb.transactions import transact
from lambdas.adapters.dynamodb.writes import Part, refused
from lambdas.domain.jobs.job import Idempotency, RecordExists


class ConditionFailed(Exception):
    """The condition of a further part did not hold: nothing was written."""


def put_once(
    put: Part, key: Idempotency | None, now: float, mine: Callable[[Values], bool], also: Sequence[Part] = ()
) -> Idempotency | None:
    """`put` as PutItem takes it, with the parts of a transaction that are written `also` or not at all.

    Returns the living row of the same key, if any: then nothing was written. `mine` says of a record of the same id
    whether it is the one that was to be put: a writing whose answer was lost is sent again, and finds itself.
    Raises RecordExists where it is another, and ConditionFailed.
    """
    if key is None and not also:
        found = refused(aws.client("dynamodb"), "put_item", **put, **TELL)
        if found is not None and not mine(found):
            raise RecordExists
        return None
    rows = [{"Put": {"TableName": put["TableName"], **_row(key, now), **TELL}}] if key else []
    reasons = transact([{"Put": {**put, **TELL}}, *rows, *also])
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

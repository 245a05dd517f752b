"""Stores which jobs were made for a request without an Idempotency-Key: an item for each, in the table `jobs`."""

from __future__ import annotations

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import RETURN_OLD, Values, item, plain, values
from lambdas.adapters.dynamodb.writes import Part, refused
from lambdas.domain.jobs.asked import Asked

MAX_ROWS = 100  # that are looked at, the newest: repetitions are of what was asked last


def put(table: str, asked: Asked | None) -> list[Part]:
    """Return the part of the transaction that creates the job. It cannot fail: the job's id is in its key."""
    return [] if asked is None else [{"Put": {"TableName": table, "Item": _item(asked)}}]


def find(table: str, tenant: str, fingerprint: str, now: float) -> list[Asked]:
    """Return the living items of what was asked."""
    answer = aws.client("dynamodb").query(
        TableName=table,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :asked)",
        ExpressionAttributeValues=values(pk=_partition(tenant), asked=f"{fingerprint}#"),
        ConsistentRead=True,
        ScanIndexForward=False,
        Limit=MAX_ROWS,
    )
    found = (_asked(tenant, plain(raw)) for raw in answer["Items"])
    return [asked for asked in found if asked.expires_at >= now]


def replace(table: str, seen: Asked, new: Asked) -> bool:
    """Write `new` where the item is as it was seen; a write whose response was lost finds its own item."""
    left = refused(
        aws.client("dynamodb"),
        "put_item",
        TableName=table,
        Item=_item(new),
        ConditionExpression="holder = :holder AND sending = :number AND outcome = :state",
        ExpressionAttributeValues=values(holder=seen.holder, number=seen.number, state=seen.state),
        **RETURN_OLD,
    )
    return left is None or (bool(left) and _asked(new.tenant, left) == new)


def _item(asked: Asked) -> Values:
    return item(
        _partition(asked.tenant),
        f"{asked.fingerprint}#{asked.job_id}",
        holder=asked.holder,
        sending=asked.number,
        outcome=asked.state,
        expires_at=asked.expires_at,
    )


def _asked(tenant: str, row: Values) -> Asked:
    fingerprint, _, job_id = row["sk"].partition("#")
    return Asked(tenant, fingerprint, job_id, row["holder"], row["sending"], row["expires_at"], row["outcome"])


def _partition(tenant: str) -> str:
    return f"{tenant}#asked"

"""Enforces the tenants' rate limits in DynamoDB: one conditional update of one number per admitted request."""

from __future__ import annotations

from typing import Final

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import get_item, item, plain, values
from lambdas.adapters.dynamodb.writes import attempts
from lambdas.domain.errors import Unavailable
from lambdas.domain.limits import rate
from lambdas.domain.limits.rate import SECOND, WINDOW, Verdict

KEPT_SECONDS: Final = 3600  # an item that is longer idle equals no item
TRIES: Final = 3


class _Uncertain(Exception):
    """It is unknown whether the update was made."""


class DynamoLimits:
    """Implements the port Limits with the table `jobs`; the algorithm is in domain/limits/rate.py.

    An update expression has no maximum of two values, so an idle limit (`tat` is past) and one in use need different
    updates. `tat` only grows: once it was seen in the future, the first update cannot succeed and is skipped, so a busy
    tenant costs one write per request. For the same reason a request that fails both, in this order, is over the limit.

    A request is admitted if it is unknown whether its update was made: a second update could count it twice.
    """

    def __init__(self, table: str, per_minute: int) -> None:
        self._table = table
        self._limit = per_minute
        self._seen: dict[str, int] = {}  # tenant -> its tat when last seen

    def admit(self, tenant: str, cost: int, now: float) -> Verdict | None:
        if self._limit <= 0:
            return None
        at = int(now * SECOND)
        step = cost * rate.interval(self._limit)
        tat = None
        try:
            if cost <= self._limit:
                if self._seen.get(tenant, 0) <= at:
                    idle = {"now": at, "next": at + step}
                    tat = self._move(tenant, at, "tat = :next", "attribute_not_exists(tat) OR tat <= :now", idle)
                if tat is None:
                    busy = {"now": at, "step": step, "room": at + WINDOW - step}
                    tat = self._move(tenant, at, "tat = tat + :step", "tat > :now AND tat <= :room", busy)
        except _Uncertain:
            return rate.admitted(self._limit, max(self._seen.get(tenant, 0), at) + step, at)
        if tat is not None:
            self._seen[tenant] = tat
            return rate.admitted(self._limit, tat, at)
        left = self._seen[tenant] = self._read(tenant)
        return rate.refused(self._limit, left, at, cost)

    def _move(self, tenant: str, at: int, change: str, condition: str, numbers: dict[str, int]) -> int | None:
        db = aws.dynamodb_once()
        named = {**numbers, "expires": at // SECOND + KEPT_SECONDS}
        for number in attempts(TRIES, 0.05):
            try:
                moved = db.update_item(
                    TableName=self._table,
                    Key=item(*_key(tenant)),
                    UpdateExpression=f"SET {change}, expires_at = :expires",
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values(**named),
                    ReturnValues="UPDATED_NEW",
                )
            except db.exceptions.ConditionalCheckFailedException:
                return None
            except Unavailable as failure:
                if not aws.surely_not_done(failure):
                    raise _Uncertain from failure
                if number == TRIES - 1:
                    raise
                continue
            return int(plain(moved["Attributes"])["tat"])
        raise AssertionError("the last try either returned or failed")

    def _read(self, tenant: str) -> int:
        found = get_item(self._table, *_key(tenant), db=aws.dynamodb_once())
        return found["tat"] if found else 0


def _key(tenant: str) -> tuple[str, str]:
    return f"{tenant}#rate", "minute"

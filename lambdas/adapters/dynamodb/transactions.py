"""Writes several items of DynamoDB in one transaction, with retries."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import Values, plain
from lambdas.adapters.dynamodb.writes import Part, attempts
from lambdas.domain.errors import Unavailable

TRIES: Final = 25
MAX_WAIT: Final = 0.5  # seconds; all waits together take about five seconds
# Another write of the same item was in progress, or the table was throttled: the transaction may be tried again.
_AGAIN: Final = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_FAILED: Final = "ConditionalCheckFailed"


class Reason(NamedTuple):
    """Whether the condition of one part failed, and the existing item if the part asked for it."""

    failed: bool
    item: Values


def transact(items: Sequence[Part], db: Any = None) -> list[Reason]:
    """Return an empty list if everything was written; else a reason for each part, and this call wrote nothing.

    A condition also fails if an earlier try wrote the items and its response was lost. DynamoDB knows such a try by
    its token for ten minutes, emulators do not; callers for whom it matters compare the reason's item.
    """
    db = db or aws.client("dynamodb")
    token = str(uuid.uuid4())  # the same for all tries, so that at most one of them writes
    for number in attempts(TRIES, 0.02, MAX_WAIT):
        try:
            db.transact_write_items(TransactItems=list(items), ClientRequestToken=token)
        except db.exceptions.TransactionCanceledException as cancelled:
            reasons = cancelled.response.get("CancellationReasons", [])
            codes = {reason.get("Code") for reason in reasons}
            if _FAILED in codes:
                return [Reason(r.get("Code") == _FAILED, plain(r.get("Item") or {})) for r in reasons]
            if not _AGAIN & codes:
                raise
            if number == TRIES - 1:
                raise Unavailable("too many writers at once; try again in a moment", retry_after=1) from cancelled
            continue
        return []
    raise AssertionError("the last try either returned or failed")

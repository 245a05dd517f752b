"""Write several items of DynamoDB, all or none."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import Values, plain
from lambdas.adapters.dynamodb.writes import attempts
from lambdas.domain.errors import Unavailable

TRIES: Final = 25
MAX_WAIT: Final = 0.5  # seconds; with these a writer is patient for some five seconds
# Another writer was at the same item in the same instant, or the table had no room: neither says no.
_AGAIN: Final = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_FAILED: Final = "ConditionalCheckFailed"


class Reason(NamedTuple):
    """What became of one item's condition: whether it failed, and the item as it stands where its part asked for it."""

    failed: bool
    item: Values


def transact(items: Sequence[dict[str, Any]], db: Any = None) -> list[Reason]:
    """Empty when everything is written; else nothing is by this call, and there is a reason for each item.

    A condition also fails where the writing was done and its answer lost, so that it was sent again: DynamoDB knows it
    again by its token, but for ten minutes only, and no emulator does. Whoever cares looks at the reason's item.
    """
    db = db or aws.client("dynamodb")
    token = str(uuid.uuid4())  # one for all tries: of those whose end is not known, one at the most is written
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

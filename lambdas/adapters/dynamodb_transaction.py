"""Write several items of DynamoDB, all or none."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, Final

from lambdas.adapters import aws

TRIES: Final = 25
LONGEST_WAIT: Final = 0.5  # seconds; with these a writer is patient for some five seconds
# Another writer was at the same item in the same instant, or the table had no room: neither says no.
_AGAIN: Final = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
FAILED: Final = "ConditionalCheckFailed"


def transact(items: Sequence[dict[str, Any]]) -> list[str]:
    """Empty when everything is written; else nothing is, and for each item `FAILED` or another word."""
    db = aws.client("dynamodb")
    for number in range(TRIES):
        try:
            db.transact_write_items(TransactItems=list(items))
        except db.exceptions.TransactionCanceledException as cancelled:
            reasons = [reason.get("Code", "None") for reason in cancelled.response.get("CancellationReasons", [])]
            if FAILED in reasons:
                return reasons
            if number == TRIES - 1 or not _AGAIN & set(reasons):
                raise
            time.sleep(random.uniform(0, min(LONGEST_WAIT, 0.02 * 2**number)))
            continue
        return []
    raise AssertionError("the last try either returned or failed")

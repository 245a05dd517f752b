"""Stores the providers' slots in DynamoDB, shared by all functions.

One item per provider has its calls and a version number. Acquiring a slot is conditional on the version that was read,
so two functions cannot acquire the last one. Releasing is not, so it needs one write and never conflicts.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import Values, item, values
from lambdas.adapters.dynamodb.writes import compare_and_swap, refused
from lambdas.domain.limits import slots
from lambdas.domain.limits.slots import Slot

TRIES: Final = 25  # to acquire a slot; a try fails if another function acquires or releases one meanwhile
KEPT_SECONDS: Final = 24 * 3600  # after the last call
PARTITION: Final = "slots"

log = logging.getLogger(__name__)


class DynamoSlots:
    """Implements the port Slots with the table `providers`; providers without a cap cost no read or write."""

    def __init__(self, table: str, caps: Mapping[str, int]) -> None:
        self._table = table
        self._caps = caps

    def acquire(self, provider: str, call: str, tenant: str, now: float, until: float) -> bool:
        cap = self._caps.get(provider)
        if not cap:
            return True

        def hold(found: Values | None) -> Values | None:
            after = slots.taken(_held(found), call, Slot(tenant, until), cap, now)
            if after is None:
                return None
            held = {name: {"tenant": slot.tenant, "until": round(slot.until, 3)} for name, slot in after.items()}
            return {"held": held, "expires_at": int(now) + KEPT_SECONDS}

        try:
            # False also if every try conflicted: there are many other calls then, and hardly a free slot
            return compare_and_swap(_client(), self._table, PARTITION, provider, hold, tries=TRIES) is not None
        except aws.failures() as failure:
            log.warning("slots out of reach, the call is made", extra={"provider": provider, "reason": str(failure)})
            return True

    def release(self, provider: str, call: str) -> None:
        if provider not in self._caps:
            return
        try:
            refused(  # if the slot expired and another call removed it
                _client(),
                "update_item",
                TableName=self._table,
                Key=item(PARTITION, provider),
                UpdateExpression="REMOVE held.#call ADD version :one",
                ConditionExpression="attribute_exists(held.#call)",
                ExpressionAttributeNames={"#call": call},
                ExpressionAttributeValues=values(one=1),
            )
        except aws.failures() as failure:
            log.warning("slot not given back, it expires", extra={"provider": provider, "reason": str(failure)})


def _client() -> Any:
    """Return a client with short timeouts. It may send twice: a call that has its slot keeps it."""
    return aws.client("dynamodb", read_timeout=2.0, attempts=2)


def _held(found: Values | None) -> dict[str, Slot]:
    rows = found["held"] if found else {}
    return {call: Slot(row["tenant"], float(row["until"])) for call, row in rows.items()}

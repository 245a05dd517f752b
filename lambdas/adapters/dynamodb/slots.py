"""The providers' slots in DynamoDB, shared by all functions.

One item per provider holds its calls under a version number. A slot is taken on the version that was read, so that no
two functions take the last one; it is given back on none, so that giving back is one write and never in vain.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import Values, item, values
from lambdas.adapters.dynamodb.writes import compare_and_swap, refused
from lambdas.domain.errors import Unavailable
from lambdas.domain.limits import slots
from lambdas.domain.limits.slots import Slot

TRIES: Final = 25  # to take a slot, each lost to another function that took or freed one
KEPT_SECONDS: Final = 24 * 3600  # a provider that nobody has called for a day has no item
PARTITION: Final = "slots"

log = logging.getLogger(__name__)


class DynamoSlots:
    """The port Slots over the table `providers`. Only for providers with a cap is anything read or written."""

    def __init__(self, table: str, caps: Mapping[str, int]) -> None:
        self._table = table
        self._caps = caps

    def acquire(self, provider: str, call: str, tenant: str, now: float, until: float) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

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
            # False also where others were faster every time: then there are many of them, and little room
            return compare_and_swap(_client(), self._table, PARTITION, provider, hold, tries=TRIES) is not None
        except (BotoCoreError, ClientError, Unavailable) as failure:
            log.warning("slots out of reach, the call is made", extra={"provider": provider, "reason": str(failure)})
            return True

    def release(self, provider: str, call: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        if provider not in self._caps:
            return
        try:
            refused(  # where its time was over and another call has swept it up
                _client(),
                "update_item",
                TableName=self._table,
                Key=item(PARTITION, provider),
                UpdateExpression="REMOVE held.#call ADD version :one",
                ConditionExpression="attribute_exists(held.#call)",
                ExpressionAttributeNames={"#call": call},
                ExpressionAttributeValues=values(one=1),
            )
        except (BotoCoreError, ClientError, Unavailable) as failure:
            log.warning("slot not given back, it expires", extra={"provider": provider, "reason": str(failure)})


def _client() -> Any:
    """Nobody waits long for a count. What is sent twice does no harm: a call that has its slot keeps it."""
    return aws.client("dynamodb", read_timeout=2.0, attempts=2)


def _held(found: Values | None) -> dict[str, Slot]:
    rows = found["held"] if found else {}
    return {call: Slot(row["tenant"], float(row["until"])) for call, row in rows.items()}

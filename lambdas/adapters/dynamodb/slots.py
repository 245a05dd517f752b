"""The providers' slots in DynamoDB, shared by all functions.

One item per provider holds its calls under a version number. A slot is taken on the version that was read, so that no
two functions take the last one; it is given back on none, so that giving back is one write and never in vain.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Mapping
from typing import Any, Final

from lambdas.adapters import aws
from lambdas.domain.errors import Unavailable
from lambdas.domain.limits import slots
from lambdas.domain.limits.slots import Slot

TRIES: Final = 25  # to take a slot, each lost to another function that took or freed one
KEPT_SECONDS: Final = 24 * 3600  # a provider that nobody has called for a day has no item

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
        try:
            return self._acquire(provider, cap, call, Slot(tenant, until), now)
        except (BotoCoreError, ClientError, Unavailable) as failure:
            log.warning("slots out of reach, the call is made", extra={"provider": provider, "reason": str(failure)})
            return True

    def release(self, provider: str, call: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        if provider not in self._caps:
            return
        db = _client()
        try:
            db.update_item(
                **self._at(provider),
                UpdateExpression="REMOVE held.#call ADD version :one",
                ConditionExpression="attribute_exists(held.#call)",
                ExpressionAttributeNames={"#call": call},
                ExpressionAttributeValues={":one": {"N": "1"}},
            )
        except db.exceptions.ConditionalCheckFailedException:
            return  # its time was over, and another call has swept it up
        except (BotoCoreError, ClientError, Unavailable) as failure:
            log.warning("slot not given back, it expires", extra={"provider": provider, "reason": str(failure)})

    def _acquire(self, provider: str, cap: int, call: str, slot: Slot, now: float) -> bool:
        """False also where others were faster every time: then there are many of them, and little room."""
        db = _client()
        at = self._at(provider)
        item = db.get_item(**at, ConsistentRead=True).get("Item")
        for attempt in range(TRIES):
            after = slots.taken(_held(item), call, slot, cap, now)
            if after is None:
                return False
            try:
                db.update_item(**at, **_update(after, item, now))
            except db.exceptions.ConditionalCheckFailedException as overtaken:
                time.sleep(random.uniform(0, 0.01) * attempt)
                left = overtaken.response.get("Item")  # by the other writer; not every emulator tells
                item = left or db.get_item(**at, ConsistentRead=True).get("Item")
                continue
            return True
        return False

    def _at(self, provider: str) -> dict[str, Any]:
        return {"TableName": self._table, "Key": {"pk": {"S": "slots"}, "sk": {"S": provider}}}


def _client() -> Any:
    """Nobody waits long for a count. What is sent twice does no harm: a call that has its slot keeps it."""
    return aws.client("dynamodb", read_timeout=2.0, attempts=2)


def _held(item: dict[str, Any] | None) -> dict[str, Slot]:
    rows = item["held"]["M"] if item else {}
    return {call: Slot(row["M"]["tenant"]["S"], float(row["M"]["until"]["N"])) for call, row in rows.items()}


def _update(held: Mapping[str, Slot], item: dict[str, Any] | None, now: float) -> dict[str, Any]:
    version = int(item["version"]["N"]) if item else 0
    rows = {
        call: {"M": {"tenant": {"S": slot.tenant}, "until": {"N": str(round(slot.until, 3))}}}
        for call, slot in held.items()
    }
    values = {
        ":held": {"M": rows},
        ":next": {"N": str(version + 1)},
        ":expires": {"N": str(int(now) + KEPT_SECONDS)},
    }
    return {
        "UpdateExpression": "SET held = :held, version = :next, expires_at = :expires",
        "ConditionExpression": "version = :version" if item else "attribute_not_exists(pk)",
        "ExpressionAttributeValues": values | ({":version": {"N": str(version)}} if item else {}),
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }

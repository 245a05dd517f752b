"""The lane's table `providers`: their health and slots."""

from __future__ import annotations

import os
from typing import Any

ANOTHER = "another"


def occupy(db: Any, provider: str, until: float) -> None:
    """Another tenant's call has the provider's slot."""
    slot = {"M": {"tenant": {"S": ANOTHER}, "until": {"N": str(until)}}}
    item = {"pk": {"S": "slots"}, "sk": {"S": provider}, "version": {"N": "1"}, "held": {"M": {ANOTHER: slot}}}
    db.put_item(TableName=os.environ["PROVIDERS_TABLE"], Item=item)


def held(db: Any) -> int:
    """Slots that this tenant's calls have."""
    query = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "slots"}}}
    items = db.query(TableName=os.environ["PROVIDERS_TABLE"], **query)["Items"]
    return sum(call != ANOTHER for item in items for call in item["held"]["M"])


def clear(db: Any) -> None:
    """No health is known, and no slot is held."""
    table = os.environ["PROVIDERS_TABLE"]
    for item in db.scan(TableName=table, ProjectionExpression="pk, sk")["Items"]:
        db.delete_item(TableName=table, Key=item)

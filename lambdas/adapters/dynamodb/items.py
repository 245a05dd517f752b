"""Converts DynamoDB items to plain values and back: strings, integers, floats, sets of strings, and maps of these.

boto3's TypeSerializer accepts no float and returns every number as a Decimal, so each value would need a second
conversion in both directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.adapters import aws

Raw = dict[str, Any]  # attributes in DynamoDB's form, such as {"pk": {"S": "acme"}}
Values = dict[str, Any]  # the same as plain values
RETURN_OLD = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def marshal(value: object) -> Raw:
    """Return a value in DynamoDB's form."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, (int, float)):
        return {"N": str(value)}
    if isinstance(value, (set, frozenset)):
        return {"SS": sorted(value)}
    if isinstance(value, Mapping):
        return {"M": {name: marshal(inner) for name, inner in value.items()}}
    raise TypeError(f"no attribute can hold {type(value).__name__}")


def unmarshal(raw: Raw) -> Any:
    """Return the plain value. A number without a decimal point is an int; the value of an unknown type is unchanged."""
    [(kind, value)] = raw.items()
    if kind == "N":
        return int(value) if value.lstrip("-").isdigit() else float(value)
    if kind == "SS":
        return set(value)
    return plain(value) if kind == "M" else value


def plain(raw: Mapping[str, Raw]) -> Values:
    return {name: unmarshal(value) for name, value in raw.items()}


def item(pk: str, sk: str, **attributes: object) -> Raw:
    """Return an item, or a key if there are no attributes. An attribute of None is left out."""
    given = {"pk": pk, "sk": sk, **attributes}
    return {name: marshal(value) for name, value in given.items() if value is not None}


def values(**named: object) -> Raw:
    """Return the values of an expression, each under `:name`."""
    return {f":{name}": marshal(value) for name, value in named.items()}


def get_item(table: str, pk: str, sk: str, *, db: Any = None, consistent: bool = True) -> Values | None:
    """Return the item; a read that is not `consistent` may miss the latest writes."""
    how = {"ConsistentRead": True} if consistent else {}
    db = db or aws.client("dynamodb")
    found: Raw | None = db.get_item(TableName=table, Key=item(pk, sk), **how).get("Item")
    return None if found is None else plain(found)

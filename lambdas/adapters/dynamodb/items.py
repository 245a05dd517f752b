"""Items of DynamoDB as plain values: text, whole and broken numbers, sets of text, and maps of these.

Not boto3's TypeSerializer: it takes no float and gives every number as a Decimal, so that each value of ours would be
converted once more on its way in and out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.adapters import aws

Raw = dict[str, Any]  # attributes in DynamoDB's form, such as {"pk": {"S": "acme"}}
Values = dict[str, Any]  # the same as plain values
TELL = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def marshal(value: object) -> Raw:
    """One attribute's value in DynamoDB's form."""
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
    """The plain value: a number without a point is an int; a type that is not written here comes as it is."""
    [(kind, value)] = raw.items()
    if kind == "N":
        return int(value) if value.lstrip("-").isdigit() else float(value)
    if kind == "SS":
        return set(value)
    return plain(value) if kind == "M" else value


def plain(raw: Mapping[str, Raw]) -> Values:
    return {name: unmarshal(value) for name, value in raw.items()}


def item(pk: str, sk: str, **attributes: object) -> Raw:
    """An item, or a key alone. An attribute of None is left out."""
    given = {"pk": pk, "sk": sk, **attributes}
    return {name: marshal(value) for name, value in given.items() if value is not None}


def values(**named: object) -> Raw:
    """What an expression names `:name`."""
    return {f":{name}": marshal(value) for name, value in named.items()}


def get_item(table: str, pk: str, sk: str, *, db: Any = None, consistent: bool = True) -> Values | None:
    """The item as it stands after every write before this read; not `consistent`, as it stood a moment ago."""
    how = {"ConsistentRead": True} if consistent else {}
    db = db or aws.client("dynamodb")
    found: Raw | None = db.get_item(TableName=table, Key=item(pk, sk), **how).get("Item")
    return None if found is None else plain(found)

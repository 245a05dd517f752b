"""Writes single items under a condition, and waits between tries."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lambdas.adapters.dynamodb.items import RETURN_OLD, Values, get_item, item, plain, values
from lambdas.domain.errors import Unavailable

Part = dict[str, Any]  # a part of a transaction, or the arguments of one write, in DynamoDB's form


def attempts(tries: int, wait: float, max_wait: float = 60.0) -> Iterator[int]:
    """Yield the numbers of the tries. Sleeps before each but the first: a random time up to `wait`, doubled each time.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    for number in range(tries):
        if number:
            time.sleep(random.uniform(0, min(max_wait, wait * 2 ** (number - 1))))
        yield number


def refused(db: Any, operation: str, **arguments: Any) -> Values | None:
    """Make a write. Returns None on success; else the existing item, empty if there is none or it was not asked for."""
    try:
        getattr(db, operation)(**arguments)
    except db.exceptions.ConditionalCheckFailedException as refusal:
        return plain(refusal.response.get("Item", {}))
    return None


def compare_and_swap(
    db: Any,
    table: str,
    pk: str,
    sk: str,
    change: Callable[[Values | None], Values | None],
    *,
    tries: int,
    resend: bool = False,
) -> Values | None:
    """Write the result of `change` if the item has the `version` that was read; else start again from the new item.

    Returns what was written; None if `change` returns None, or after `tries`. `resend`: a first write whose response
    was lost is sent once more, and recognised by the token that it wrote. Raises Unavailable. The names of the
    attributes must not be reserved words of DynamoDB.
    """
    found = get_item(table, pk, sk, db=db)
    token = uuid.uuid4().hex
    for number in attempts(tries, 0.01, 0.25):
        attributes = change(found)
        if attributes is None:
            return None
        if resend:
            attributes |= {"written_by": token}
        try:
            left = refused(db, "update_item", TableName=table, Key=item(pk, sk), **_swap(attributes, found))
        except Unavailable:
            if number or not resend:
                raise
            continue
        if left is None:
            return attributes
        found = left or get_item(table, pk, sk, db=db)  # not every emulator returns the existing item
        if found and found.get("written_by") == token:
            return attributes
    return None


def _swap(attributes: Values, found: Values | None) -> dict[str, Any]:
    version = found["version"] if found else 0
    written = {**attributes, "version": version + 1}
    return {
        "UpdateExpression": "SET " + ", ".join(f"{name} = :{name}" for name in written),
        "ConditionExpression": "version = :seen" if found else "attribute_not_exists(pk)",
        "ExpressionAttributeValues": values(**written, **({"seen": version} if found else {})),
        **RETURN_OLD,
    }


def adding(
    table: str,
    pk: str,
    sk: str,
    columns: Mapping[str, int],
    put: Mapping[str, object],
    first: Mapping[str, object] | None = None,
) -> Part:
    """Return an update that adds to the columns, sets `put`, and sets `first` where it does not exist yet."""
    names = [*columns, *put, *(first or {})]
    placed = {name: number for number, name in enumerate(names)}
    sets = [f"#{placed[name]} = :{placed[name]}" for name in put]
    sets += [f"#{placed[name]} = if_not_exists(#{placed[name]}, :{placed[name]})" for name in first or ()]
    adds = [f"#{placed[name]} :{placed[name]}" for name in columns]
    given = {**columns, **put, **(first or {})}
    return {
        "TableName": table,
        "Key": item(pk, sk),
        "UpdateExpression": f"SET {', '.join(sets)} ADD {', '.join(adds)}",
        "ExpressionAttributeNames": {f"#{number}": name for name, number in placed.items()},
        "ExpressionAttributeValues": values(**{str(number): given[name] for name, number in placed.items()}),
    }

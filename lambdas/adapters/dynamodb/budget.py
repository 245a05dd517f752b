"""Keeps a month's books in the table `jobs`, as parts of the transactions that accept and end a job.

Each part updates the item `{tenant}#budget`, `{month}`. It is in the same transaction as the conditional write of the
job, so nothing is reserved, charged or given back twice. DynamoBooks books costs that belong to no job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from lambdas.adapters.dynamodb.analytics import adds
from lambdas.adapters.dynamodb.items import get_item, values
from lambdas.adapters.dynamodb.transactions import transact
from lambdas.adapters.dynamodb.writes import Part, adding
from lambdas.domain.analytics import Columns, Key
from lambdas.domain.jobs.job import Job
from lambdas.domain.limits import budget
from lambdas.domain.limits.budget import Caps, Committed


def reserve(table: str, job: Job, caps: Caps) -> list[Part]:
    """Return the part that adds the job's reservation if it fits the caps; none if the job reserves nothing."""
    wanted = {
        "committed_microusd": (job.reserved_microusd, caps.microusd),
        "committed_images": (job.reserved_images, caps.images),
    }
    return _reserve(table, job.tenant, job.created_at, wanted)


def _reserve(table: str, tenant: str, at: float, wanted: dict[str, tuple[int, int]]) -> list[Part]:
    """Return the part that adds amounts; `wanted` has an amount and its cap for each column."""
    added = {column: amount for column, (amount, _) in wanted.items() if amount}
    if not added:
        return []
    conditions, rooms = [], {}
    for column, (amount, cap) in wanted.items():
        if not amount or cap <= 0:
            continue
        rooms[f"room_{column}"] = cap - amount
        fits = f"{column} <= :room_{column}"
        conditions.append(f"({fits} OR attribute_not_exists({column}))" if cap >= amount else fits)
    part = _update(table, tenant, at, added)
    if conditions:
        part["ConditionExpression"] = " AND ".join(conditions)
        part["ExpressionAttributeValues"] |= values(**rooms)
    return [{"Update": part}]


def settle(table: str, job: Job) -> list[Part]:
    """Return the part that replaces the reservation of a final job by its cost; none if nothing changes."""
    change = budget.settlement(job)
    return [{"Update": _update(table, job.tenant, job.created_at, asdict(change))}] if change.any else []


class DynamoBooks:
    """Implements the port Books with the table `jobs`."""

    def __init__(self, table: str) -> None:
        self._table = table

    def committed(self, tenant: str, at: float) -> Committed:
        books = get_item(self._table, f"{tenant}#budget", budget.month(at)) or {}
        columns = ("committed_microusd", "committed_images", "spent_microusd", "images")
        return Committed(*(books.get(column, 0) for column in columns))

    def hold(self, tenant: str, at: float, amount: int, caps: Caps) -> None:
        wanted = {"committed_microusd": (amount, caps.microusd)}
        if transact(_reserve(self._table, tenant, at, wanted)):
            raise budget.exceeded(caps, at)

    def settle(self, tenant: str, at: float, held: int, spent: int, lost: int, sums: Mapping[Key, Columns]) -> None:
        change = {"committed_microusd": spent - held, "spent_microusd": spent, "lost_microusd": lost}
        parts = [{"Update": _update(self._table, tenant, at, change)}] if any(change.values()) else []
        if parts := [*parts, *adds(self._table, tenant, sums)]:
            transact(parts)


def _update(table: str, tenant: str, at: float, added: dict[str, int]) -> Part:
    kept_until = int((budget.month_end(at) + budget.KEPT).timestamp())
    added = {column: amount for column, amount in added.items() if amount}
    return adding(table, f"{tenant}#budget", budget.month(at), added, {"expires_at": kept_until})

"""Stores the daily sums in the table `jobs`: one item per day, project and provider, updated by additions only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import plain, values
from lambdas.adapters.dynamodb.writes import Part, adding
from lambdas.domain import analytics
from lambdas.domain.analytics import Columns, Key, Range


def adds(table: str, tenant: str, rows: Mapping[Key, Columns]) -> list[Part]:
    """Return the transaction parts that add to these items."""
    return [
        {"Update": adding(table, *_key(tenant, key), columns, {"expires_at": analytics.expires_at(key.day)})}
        for key, columns in rows.items()
    ]


class DynamoAnalytics:
    """Implements the port Analytics. A report reads the items of its days, and no jobs."""

    def __init__(self, table: str) -> None:
        self._table = table

    def rows(self, tenant: str, days: Range, project_id: str | None) -> Iterator[tuple[Key, Columns]]:
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": values(
                pk=_partition(tenant), first=f"{days.first.isoformat()}#", last=f"{days.last.isoformat()}#~"
            ),
            "ConsistentRead": True,
        }
        while True:
            answer = aws.client("dynamodb").query(**query)
            for found in map(plain, answer["Items"]):
                key = Key(*found.pop("sk").split("#"))
                if project_id in (None, key.project):
                    yield key, {name: value for name, value in found.items() if name not in ("pk", "expires_at")}
            if "LastEvaluatedKey" not in answer:
                return
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _partition(tenant: str) -> str:
    return f"{tenant}#analytics"


def _key(tenant: str, key: Key) -> tuple[str, str]:
    return _partition(tenant), "#".join(key)

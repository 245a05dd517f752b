"""Stores projects in DynamoDB, and counts their jobs and images.

There are no counters: one item per project, written by all of a tenant's jobs, would make transactions conflict, and an
update outside a transaction is lost if its process ends. Counts are made on request instead, of the entries of the
index `by_project` and of one small item per image, which is written, deleted and expires with the image. So counts
always agree with lists. One query counts about 10,000 entries; there are at most MAX_PAGES queries.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import RETURN_OLD, Values, get_item, item, plain, values
from lambdas.adapters.dynamodb.writes import refused
from lambdas.domain.projects import Counts, Project

MAX_PAGES = 8
KNOWN = 10_000  # existing projects that a process remembers


class DynamoProjects:
    """Implements the port Projects with the tables `projects`, `jobs` and `images`."""

    def __init__(self, table: str, jobs_table: str, images_table: str) -> None:
        self._table = table
        self._jobs = jobs_table
        self._images = images_table
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def create(self, project: Project) -> bool:
        row = item(project.tenant, project.id, name=project.name, created_at=project.created_at)
        new = {"ConditionExpression": "attribute_not_exists(pk)", **RETURN_OLD}
        found = refused(aws.client("dynamodb"), "put_item", TableName=self._table, Item=row, **new)
        # an equal item: the response was lost and the write was sent again
        return found is None or (bool(found) and _project(found) == project)

    def ensure(self, tenant: str, project_id: str, now: float) -> None:
        if (tenant, project_id) in self._known:
            return
        aws.client("dynamodb").update_item(
            TableName=self._table,
            Key=item(tenant, project_id),
            UpdateExpression="SET #n = if_not_exists(#n, :n), created_at = if_not_exists(created_at, :at)",
            ExpressionAttributeNames={"#n": "name"},
            ExpressionAttributeValues=values(n=project_id, at=now),
        )
        self._known[tenant, project_id] = None
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)

    def get(self, tenant: str, project_id: str) -> Project | None:
        found = get_item(self._table, tenant, project_id)
        return _project(found) if found else None

    def list(self, tenant: str, limit: int, after: str | None) -> list[Project]:
        answer = aws.client("dynamodb").query(
            TableName=self._table,
            KeyConditionExpression="pk = :t" + (" AND sk > :after" if after else ""),
            ExpressionAttributeValues=values(t=tenant, **({"after": after} if after else {})),
            ConsistentRead=True,
            Limit=limit,
        )
        return [_project(plain(raw)) for raw in answer["Items"]]

    def counts(self, tenant: str, project_id: str) -> Counts:
        key = f"{tenant}#{project_id}"
        jobs, all_jobs = _count(self._jobs, "project_key", key, IndexName="by_project")
        images, all_images = _count(self._images, "pk", key)
        return Counts(jobs, images, all_jobs and all_images)


def _count(table: str, attribute: str, value: str, **index: str) -> tuple[int, bool]:
    """Return the number of items that were counted, and whether these are all."""
    found, start = 0, dict[str, Any]()
    for _ in range(MAX_PAGES):
        answer = aws.client("dynamodb").query(
            TableName=table,
            Select="COUNT",
            KeyConditionExpression="#k = :v",
            ExpressionAttributeNames={"#k": attribute},
            ExpressionAttributeValues=values(v=value),
            **index,
            **start,
        )
        found += answer["Count"]
        if "LastEvaluatedKey" not in answer:
            return found, True
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
    return found, False


def _project(found: Values) -> Project:
    return Project(found["pk"], found["sk"], found["name"], float(found["created_at"]))

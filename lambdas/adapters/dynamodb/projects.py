"""Projects in DynamoDB, and how much is in them.

Nothing is added up when a job is made or ends: one counter per project would be a single record that all of a tenant's
jobs write at once, where transactions collide and a plain update is lost with its process. Instead what is there is
counted when somebody asks: the entries of the index `by_project`, and for images one small row each, written with the
image and deleted or expired with it. So the figures always agree with the lists. A count reads some 10,000 entries at
a time, and MAX_PAGES times at the most.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import TELL, Values, get_item, item, plain, values
from lambdas.adapters.dynamodb.writes import refused
from lambdas.domain.projects import Counts, Project

MAX_PAGES = 8
KNOWN = 10_000  # projects that a process remembers to exist


class DynamoProjects:
    """The port Projects over the tables `projects`, `jobs` and `images`."""

    def __init__(self, table: str, jobs_table: str, images_table: str) -> None:
        self._table = table
        self._jobs = jobs_table
        self._images = images_table
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def create(self, project: Project) -> bool:
        row = item(project.tenant, project.id, name=project.name, created_at=project.created_at)
        new = {"ConditionExpression": "attribute_not_exists(pk)", **TELL}
        found = refused(aws.client("dynamodb"), "put_item", TableName=self._table, Item=row, **new)
        # the same, where its answer was lost and it was sent again
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
    """How many records there are, and whether these are all."""
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

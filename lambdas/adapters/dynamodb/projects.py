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
from lambdas.adapters.dynamodb.idempotency import TELL
from lambdas.domain.projects import Counts, Project

MAX_PAGES = 8
KNOWN = 10_000  # projects that a process remembers to exist
Item = dict[str, Any]


class DynamoProjects:
    """The port Projects over the tables `projects`, `jobs` and `images`."""

    def __init__(self, table: str, jobs_table: str, images_table: str) -> None:
        self._table = table
        self._jobs = jobs_table
        self._images = images_table
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def create(self, project: Project) -> bool:
        db = aws.client("dynamodb")
        item = {**_key(project.tenant, project.id), **_values(project.name, project.created_at)}
        new = {"ConditionExpression": "attribute_not_exists(pk)", **TELL}
        try:
            db.put_item(TableName=self._table, Item=item, **new)
        except db.exceptions.ConditionalCheckFailedException as refused:
            found = refused.response.get("Item")  # the same, where its answer was lost and it was sent again
            return bool(found) and _project(found) == project
        return True

    def ensure(self, tenant: str, project_id: str, now: float) -> None:
        if (tenant, project_id) in self._known:
            return
        values = _values(project_id, now)
        aws.client("dynamodb").update_item(
            TableName=self._table,
            Key=_key(tenant, project_id),
            UpdateExpression="SET #n = if_not_exists(#n, :n), created_at = if_not_exists(created_at, :at)",
            ExpressionAttributeNames={"#n": "name"},
            ExpressionAttributeValues={":n": values["name"], ":at": values["created_at"]},
        )
        self._known[tenant, project_id] = None
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)

    def get(self, tenant: str, project_id: str) -> Project | None:
        answer = aws.client("dynamodb").get_item(
            TableName=self._table, Key=_key(tenant, project_id), ConsistentRead=True
        )
        return _project(answer["Item"]) if "Item" in answer else None

    def list(self, tenant: str, limit: int, after: str | None) -> list[Project]:
        answer = aws.client("dynamodb").query(
            TableName=self._table,
            KeyConditionExpression="pk = :t" + (" AND sk > :after" if after else ""),
            ExpressionAttributeValues={":t": {"S": tenant}, **({":after": {"S": after}} if after else {})},
            ConsistentRead=True,
            Limit=limit,
        )
        return [_project(item) for item in answer["Items"]]

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
            ExpressionAttributeValues={":v": {"S": value}},
            **index,
            **start,
        )
        found += answer["Count"]
        if "LastEvaluatedKey" not in answer:
            return found, True
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
    return found, False


def _key(tenant: str, project_id: str) -> Item:
    return {"pk": {"S": tenant}, "sk": {"S": project_id}}


def _values(name: str, created_at: float) -> Item:
    return {"name": {"S": name}, "created_at": {"N": str(created_at)}}


def _project(item: Item) -> Project:
    return Project(item["pk"]["S"], item["sk"]["S"], item["name"]["S"], float(item["created_at"]["N"]))

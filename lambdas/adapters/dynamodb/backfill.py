"""Adds jobs that ended before the daily sums existed to them."""

from __future__ import annotations

from typing import Any

from lambdas.adapters.dynamodb.analytics import adds
from lambdas.adapters.dynamodb.items import Values, item, plain, values
from lambdas.adapters.dynamodb.jobs import job_of
from lambdas.adapters.dynamodb.transactions import transact
from lambdas.domain import analytics
from lambdas.domain.jobs.job import FINAL


def backfill(db: Any, table: str) -> int:
    """Return the number of added jobs. Each is marked in the same transaction, so that it is added only once."""
    query: dict[str, Any] = {
        "TableName": table,
        "FilterExpression": "attribute_exists(doc) AND attribute_exists(fence) AND attribute_not_exists(rolled_up)",
        "ConsistentRead": True,
    }
    added = 0
    while True:
        answer = db.scan(**query)
        added += sum(_add(db, table, found) for found in map(plain, answer["Items"]) if found["status"] in FINAL)
        if "LastEvaluatedKey" not in answer:
            return added
        query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _add(db: Any, table: str, found: Values) -> bool:
    deleted = found.pop("deleted", set())
    job = job_of(found)  # with the images that were deleted later
    mark = {
        "TableName": table,
        "Key": item(job.tenant, job.id),
        "UpdateExpression": "SET rolled_up = :yes",
        # of a deletion that happens meanwhile, exactly one side subtracts the image
        "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(rolled_up) AND "
        + ("deleted = :deleted" if deleted else "attribute_not_exists(deleted)"),
        "ExpressionAttributeValues": values(yes=1, **({"deleted": deleted} if deleted else {})),
    }
    return not transact([{"Update": mark}, *adds(table, job.tenant, analytics.of_job(job, deleted))], db)

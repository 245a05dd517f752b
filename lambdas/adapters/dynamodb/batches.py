"""Batches in DynamoDB: one record with the ids of its jobs."""

from __future__ import annotations

import json

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.idempotency import put_once
from lambdas.adapters.dynamodb.jobs import from_item
from lambdas.adapters.dynamodb.listing import read_items
from lambdas.domain.jobs.job import Batch, Idempotency, Job


class DynamoBatches:
    """The port Batches over the table `jobs`."""

    def __init__(self, table: str) -> None:
        self._table = table

    def create(self, batch: Batch, idempotency: Idempotency | None) -> Idempotency | None:
        item = {
            "pk": {"S": f"{batch.tenant}#batch"},
            "sk": {"S": batch.id},
            "job_ids": {"S": json.dumps(batch.job_ids)},
            "created_at": {"N": str(batch.created_at)},
            "expires_at": {"N": str(batch.expires_at)},
        }
        put = {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
        return put_once(put, idempotency, batch.created_at, lambda found: found.get("job_ids") == item["job_ids"])

    def get(self, tenant: str, batch_id: str) -> Batch | None:
        at = {"pk": {"S": f"{tenant}#batch"}, "sk": {"S": batch_id}}
        item = aws.client("dynamodb").get_item(TableName=self._table, Key=at, ConsistentRead=True).get("Item")
        if item is None:
            return None
        ids = tuple(json.loads(item["job_ids"]["S"]))
        return Batch(tenant, batch_id, ids, float(item["created_at"]["N"]), int(item["expires_at"]["N"]))

    def jobs(self, batch: Batch) -> list[Job]:
        return [from_item(item) for item in read_items(self._table, batch.tenant, list(batch.job_ids))]

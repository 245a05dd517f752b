"""Stores batches in DynamoDB: one item with the ids of its jobs."""

from __future__ import annotations

import json

from lambdas.adapters.dynamodb.idempotency import put_once
from lambdas.adapters.dynamodb.items import get_item, item
from lambdas.adapters.dynamodb.jobs import job_of
from lambdas.adapters.dynamodb.listing import read_items
from lambdas.domain.jobs.job import Batch, Idempotency, Job


class DynamoBatches:
    """Implements the port Batches with the table `jobs`."""

    def __init__(self, table: str) -> None:
        self._table = table

    def create(self, batch: Batch, idempotency: Idempotency | None) -> Idempotency | None:
        ids = json.dumps(batch.job_ids)
        kept = {"created_at": batch.created_at, "expires_at": batch.expires_at}
        row = item(_partition(batch.tenant), batch.id, job_ids=ids, **kept)
        put = {"TableName": self._table, "Item": row, "ConditionExpression": "attribute_not_exists(pk)"}
        return put_once(put, idempotency, batch.created_at, lambda found: found.get("job_ids") == ids)

    def get(self, tenant: str, batch_id: str) -> Batch | None:
        found = get_item(self._table, _partition(tenant), batch_id)
        if found is None:
            return None
        ids = tuple(json.loads(found["job_ids"]))
        return Batch(tenant, batch_id, ids, float(found["created_at"]), found["expires_at"])

    def jobs(self, batch: Batch) -> list[Job]:
        return [job_of(found) for found in read_items(self._table, batch.tenant, list(batch.job_ids))]


def _partition(tenant: str) -> str:
    return f"{tenant}#batch"

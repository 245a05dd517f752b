"""Job records in DynamoDB.

A record is one item: what conditions and indexes need stands in attributes of its own, the rest is one
JSON document. Only the holder of the newest fence may write a running job.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from lambdas.adapters import aws
from lambdas.adapters.dynamodb_listing import list_jobs
from lambdas.adapters.dynamodb_once import put_once
from lambdas.domain.jobs import CANCELLED, COMPLETED, QUEUED, RUNNING, Idempotency, Job, JobFilter, StoredImage
from lambdas.domain.ports import Page

Item = dict[str, Any]
_OUTSIDE = ("status", "fence", "lease_until")  # these live in attributes only, never in the document


class DynamoJobs:
    """The port Jobs over the tables `jobs` and `images`."""

    def __init__(self, jobs_table: str, images_table: str) -> None:
        self._jobs = jobs_table
        self._images = images_table

    def create(self, job: Job, idempotency: Idempotency | None) -> Idempotency | None:
        put = {"TableName": self._jobs, "Item": to_item(job), "ConditionExpression": "attribute_not_exists(pk)"}
        return put_once(put, idempotency, job.created_at)

    def get(self, tenant: str, job_id: str) -> Job | None:
        item = self._get(self._jobs, tenant, job_id)
        return None if item is None else from_item(item)

    def _get(self, table: str, pk: str, sk: str) -> Item | None:
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        item: Item | None = aws.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        return item

    def claim(self, tenant: str, job_id: str, now: float, lease_until: float) -> Job | None:
        job = self.get(tenant, job_id)
        if job is None or job.final or (job.status == RUNNING and job.lease_until >= now):
            return None
        claimed = replace(
            job, status=RUNNING, fence=job.fence + 1, lease_until=lease_until, started_at=job.started_at or now
        )
        put = _put_of(claimed, expected=job)
        put["ConditionExpression"] += " AND lease_until = :lease"  # its holder may have renewed it since
        put["ExpressionAttributeValues"][":lease"] = {"N": str(job.lease_until)}
        return claimed if self._guarded("put_item", **put) else None

    def renew(self, job: Job, lease_until: float) -> bool:
        return self._guarded(
            "update_item",
            Key=_key(job),
            UpdateExpression="SET lease_until = :lease",
            ConditionExpression="#status = :running AND fence = :fence",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={
                ":lease": {"N": str(lease_until)},
                ":running": {"S": RUNNING},
                ":fence": {"N": str(job.fence)},
            },
        )

    def save(self, job: Job) -> bool:
        return self._guarded(
            "update_item",
            Key=_key(job),
            UpdateExpression="SET doc = :doc",
            ConditionExpression="#status = :running AND fence = :fence",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={
                ":doc": {"S": _document(job)},
                ":running": {"S": RUNNING},
                ":fence": {"N": str(job.fence)},
            },
        )

    def finish(self, job: Job) -> bool:
        db = aws.client("dynamodb")
        put = {"TableName": self._jobs, **_put_of(job, expected=replace(job, status=RUNNING))}
        if not job.images:
            return self._guarded("put_item", **{k: v for k, v in put.items() if k != "TableName"})
        images = [{"Put": {"TableName": self._images, "Item": _image_item(job, i)}} for i in job.images]
        try:
            db.transact_write_items(TransactItems=[{"Put": put}, *images])
        except db.exceptions.TransactionCanceledException as cancelled:
            if cancelled.response.get("CancellationReasons", [{}])[0].get("Code") == "ConditionalCheckFailed":
                return False
            raise
        return True

    def cancel(self, tenant: str, job_id: str, now: float) -> bool:
        job = self.get(tenant, job_id)
        if job is None or job.status != QUEUED:
            return False
        return self._put(replace(job, status=CANCELLED, finished_at=now), expected=job)

    def list(self, tenant: str, where: JobFilter, limit: int, cursor: str | None) -> Page:
        items, following = list_jobs(self._jobs, tenant, where, limit, cursor)
        return Page([from_item(item) for item in items], following)

    def remember(self, job: Job) -> None:
        item = {
            "pk": {"S": f"{job.tenant}#cache"},
            "sk": {"S": job.cache_key or ""},
            "job_id": {"S": job.id},
            "expires_at": {"N": str(job.expires_at)},
        }
        aws.client("dynamodb").put_item(TableName=self._jobs, Item=item)

    def recall(self, tenant: str, cache_key: str) -> Job | None:
        item = self._get(self._jobs, f"{tenant}#cache", cache_key)
        job = self.get(tenant, item["job_id"]["S"]) if item else None
        return job if job and job.status == COMPLETED else None

    def find_image(self, tenant: str, name: str) -> StoredImage | None:
        item = self._get(self._images, tenant, name)
        return None if item is None else StoredImage(**json.loads(item["doc"]["S"]))

    def _put(self, job: Job, *, expected: Job) -> bool:
        return self._guarded("put_item", **_put_of(job, expected=expected))

    def _guarded(self, call: str, **arguments: Any) -> bool:
        db = aws.client("dynamodb")
        try:
            getattr(db, call)(TableName=self._jobs, **arguments)
        except db.exceptions.ConditionalCheckFailedException:
            return False
        return True


def _put_of(job: Job, *, expected: Job) -> dict[str, Any]:
    return {
        "Item": to_item(job),
        "ConditionExpression": "#status = :status AND fence = :fence",
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": {":status": {"S": expected.status}, ":fence": {"N": str(expected.fence)}},
    }


def _key(job: Job) -> Item:
    return {"pk": {"S": job.tenant}, "sk": {"S": job.id}}


def _document(job: Job) -> str:
    return json.dumps({k: v for k, v in job.to_dict().items() if k not in _OUTSIDE}, separators=(",", ":"))


def to_item(job: Job) -> Item:
    return {
        **_key(job),
        "status": {"S": job.status},
        "fence": {"N": str(job.fence)},
        "lease_until": {"N": str(job.lease_until)},
        "project_key": {"S": f"{job.tenant}#{job.request.project_id}"},
        "status_key": {"S": f"{job.tenant}#{job.status}"},
        "provider_key": {"S": f"{job.tenant}#{job.provider}"},
        "expires_at": {"N": str(job.expires_at)},
        "doc": {"S": _document(job)},
    }


def from_item(item: Item) -> Job:
    outside = {
        "status": item["status"]["S"],
        "fence": int(item["fence"]["N"]),
        "lease_until": float(item["lease_until"]["N"]),
    }
    return Job.from_dict(json.loads(item["doc"]["S"]) | outside)


def _image_item(job: Job, image: StoredImage) -> Item:
    return {
        "pk": {"S": job.tenant},
        "sk": {"S": image.name},
        "doc": {"S": json.dumps(asdict(image), separators=(",", ":"))},
        "expires_at": {"N": str(job.expires_at)},
    }

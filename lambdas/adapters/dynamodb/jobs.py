"""Job records in DynamoDB.

A record is one item: what conditions and indexes need stands in attributes of its own, the rest is one
JSON document. Only the holder of the newest fence may write a running job.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lambdas.adapters import aws
from lambdas.adapters.dynamodb import budget as dynamodb_budget
from lambdas.adapters.dynamodb import images as dynamodb_images
from lambdas.adapters.dynamodb import outbox
from lambdas.adapters.dynamodb.idempotency import TELL, ConditionFailed, put_once
from lambdas.adapters.dynamodb.listing import list_jobs
from lambdas.adapters.dynamodb.transactions import transact
from lambdas.domain.jobs.job import (
    CANCELLED,
    COMPLETED,
    QUEUED,
    RUNNING,
    Idempotency,
    Job,
    JobFilter,
    JobStatus,
    StoredImage,
)
from lambdas.domain.limits import budget
from lambdas.domain.limits.budget import NO_CAPS, Caps
from lambdas.domain.ports.jobs import Page

Item = dict[str, Any]
_OUTSIDE = ("status", "fence", "lease_until")  # these live in attributes only, never in the document


class DynamoJobs:
    """The port Jobs over the tables `jobs` and `images`."""

    def __init__(self, jobs_table: str, images_table: str) -> None:
        self._jobs = jobs_table
        self._images = images_table

    def create(self, job: Job, idempotency: Idempotency | None, caps: Caps = NO_CAPS) -> Idempotency | None:
        put = {"TableName": self._jobs, "Item": to_item(job), "ConditionExpression": "attribute_not_exists(pk)"}
        try:
            return put_once(
                put,
                idempotency,
                job.created_at,
                lambda found: _same(from_item(found), job),
                [*dynamodb_budget.reserve(self._jobs, job, caps), *outbox.put(self._jobs, job)],
            )
        except ConditionFailed:
            raise budget.exceeded(caps, job.created_at) from None

    def used(self, tenant: str, key: str, now: float) -> Idempotency | None:
        item = self._get(self._jobs, f"{tenant}#idempotency", key)
        if item is None or int(item["expires_at"]["N"]) < now:
            return None
        return Idempotency(tenant, key, item["fingerprint"]["S"], item["job_id"]["S"], int(item["expires_at"]["N"]))

    def get(self, tenant: str, job_id: str) -> Job | None:
        item = self._get(self._jobs, tenant, job_id)
        return dynamodb_images.present(self._images, [from_item(item)])[0] if item else None

    def _get(self, table: str, pk: str, sk: str) -> Item | None:
        key = {"pk": {"S": pk}, "sk": {"S": sk}}
        item: Item | None = aws.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        return item

    def claim(self, tenant: str, job_id: str, now: float, lease_until: float) -> Job | None:
        item = self._get(self._jobs, tenant, job_id)
        job = from_item(item) if item else None
        if item is None or job is None or job.final or (job.status == RUNNING and job.lease_until >= now):
            return None
        claimed = replace(
            job, status=RUNNING, fence=job.fence + 1, lease_until=lease_until, started_at=job.started_at or now
        )
        put = _put_of(claimed, expected=job)
        # Its holder, however late, may since have renewed the lease, or put down the call that it is about to pay for.
        put["ConditionExpression"] += " AND lease_until = :lease AND doc = :doc"
        put["ExpressionAttributeValues"] |= {":lease": item["lease_until"], ":doc": item["doc"]}
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

    def release(self, job: Job) -> bool:
        return self._guarded("put_item", **_put_of(job.given_back(), expected=job))

    def finish(self, job: Job) -> bool:
        return self._end(job, RUNNING, dynamodb_images.puts(self._images, job))

    def cancel(self, tenant: str, job_id: str, now: float) -> bool:
        job = self.get(tenant, job_id)
        if job is None or job.status != QUEUED:
            return False
        return self._end(replace(job, status=CANCELLED, finished_at=now), QUEUED, [])

    def list(self, tenant: str, where: JobFilter, limit: int, cursor: str | None) -> Page:
        items, following = list_jobs(self._jobs, tenant, where, limit, cursor)
        return Page(dynamodb_images.present(self._images, [from_item(item) for item in items]), following)

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
        return job if job and job.status == COMPLETED and len(job.images) == job.request.n else None

    def find_image(self, tenant: str, name: str) -> StoredImage | None:
        item = self._get(self._images, tenant, name)
        return None if item is None else StoredImage(**json.loads(item["doc"]["S"]))

    def drop_image(self, tenant: str, image: StoredImage) -> bool:
        return dynamodb_images.drop(self._images, self._jobs, tenant, image)

    def _end(self, job: Job, before: JobStatus, images: Sequence[Item]) -> bool:
        """The final state, the images, the money and the event, all together or not at all."""
        put = _put_of(job, expected=replace(job, status=before))
        also = [*images, *dynamodb_budget.settle(self._jobs, job), *outbox.put(self._jobs, job)]
        if not also:
            return self._guarded("put_item", **put)
        reasons = transact([{"Put": {"TableName": self._jobs, **put}}, *also])
        return not reasons or _is(reasons[0].item, put)

    def _guarded(self, call: str, **arguments: Any) -> bool:
        db = aws.client("dynamodb")
        try:
            getattr(db, call)(TableName=self._jobs, **arguments)
        except db.exceptions.ConditionalCheckFailedException as refused:
            return "Item" in arguments and _is(refused.response.get("Item", {}), arguments)
        return True


def _put_of(job: Job, *, expected: Job) -> dict[str, Any]:
    return {
        "Item": {**to_item(job), "written_by": {"S": uuid.uuid4().hex}},
        "ConditionExpression": "#status = :status AND fence = :fence",
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": {":status": {"S": expected.status}, ":fence": {"N": str(expected.fence)}},
        **TELL,
    }


def _is(found: Item, put: Item) -> bool:
    """Whether this very put made the item: its answer was lost, and it was sent again."""
    return bool(found.get("written_by") == put["Item"]["written_by"])


def _same(found: Job, job: Job) -> bool:
    """Whether the record is this job, however far it has come: another request may have made one of the same id."""
    return (found.created_at, found.request_id, found.seed) == (job.created_at, job.request_id, job.seed)


def _key(job: Job) -> Item:
    return {"pk": {"S": job.tenant}, "sk": {"S": job.id}}


def _document(job: Job) -> str:
    kept = {k: v for k, v in job.to_dict().items() if k not in _OUTSIDE}
    # Characters as they are, up to three times shorter than their escapes: an item has 400 KB. Half of one, which
    # UTF-8 does not know, is escaped.
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


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
    return dynamodb_images.unmarked(Job.from_dict(json.loads(item["doc"]["S"]) | outside), item)

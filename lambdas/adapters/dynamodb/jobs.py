"""Stores jobs in DynamoDB.

A job is one item: the fields that conditions and indexes need are attributes, the rest is one JSON document. Only the
holder of the newest fence may write a running job.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace

from lambdas.adapters import aws
from lambdas.adapters.dynamodb import analytics as dynamodb_analytics
from lambdas.adapters.dynamodb import asked as dynamodb_asked
from lambdas.adapters.dynamodb import budget as dynamodb_budget
from lambdas.adapters.dynamodb import counters, outbox
from lambdas.adapters.dynamodb import images as dynamodb_images
from lambdas.adapters.dynamodb.idempotency import ConditionFailed, put_once
from lambdas.adapters.dynamodb.idempotency import partition as idempotency_partition
from lambdas.adapters.dynamodb.items import RETURN_OLD, Raw, Values, get_item, item, unmarshal, values
from lambdas.adapters.dynamodb.listing import list_jobs
from lambdas.adapters.dynamodb.transactions import transact
from lambdas.adapters.dynamodb.writes import Part, refused
from lambdas.domain import analytics, metrics
from lambdas.domain.jobs.asked import Asked
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

_OUTSIDE = ("status", "fence", "lease_until")  # attributes that are not in the document


class DynamoJobs:
    """Implements the port Jobs with the tables `jobs` and `images`. `metrics`: count jobs for the deployment."""

    def __init__(self, jobs_table: str, images_table: str, *, metrics: bool = False) -> None:
        self._jobs = jobs_table
        self._images = images_table
        self._metrics = metrics

    def create(
        self, job: Job, idempotency: Idempotency | None, caps: Caps = NO_CAPS, asked: Asked | None = None
    ) -> Idempotency | None:
        put = {"TableName": self._jobs, "Item": to_item(job), "ConditionExpression": "attribute_not_exists(pk)"}
        try:
            return put_once(
                put,
                idempotency,
                job.created_at,
                lambda found: _same(job_of(found), job),
                [
                    *dynamodb_budget.reserve(self._jobs, job, caps),
                    *outbox.put(self._jobs, job),
                    *dynamodb_asked.put(self._jobs, asked),
                    *dynamodb_analytics.adds(self._jobs, job.tenant, analytics.of_job(job) if job.final else {}),
                ],
            )
        except ConditionFailed:
            raise budget.exceeded(caps, job.created_at) from None

    def used(self, tenant: str, key: str, now: float) -> Idempotency | None:
        row = get_item(self._jobs, idempotency_partition(tenant), key)
        if row is None or row["expires_at"] < now:
            return None
        return Idempotency(tenant, key, row["fingerprint"], row["job_id"], row["expires_at"])

    def asked(self, tenant: str, fingerprint: str, now: float) -> list[Asked]:
        return dynamodb_asked.find(self._jobs, tenant, fingerprint, now)

    def retake(self, seen: Asked, new: Asked) -> bool:
        return dynamodb_asked.replace(self._jobs, seen, new)

    def get(self, tenant: str, job_id: str) -> Job | None:
        found = get_item(self._jobs, tenant, job_id)
        return dynamodb_images.present(self._images, [job_of(found)])[0] if found else None

    def claim(self, tenant: str, job_id: str, now: float, lease_until: float) -> Job | None:
        found = get_item(self._jobs, tenant, job_id)
        job = job_of(found) if found else None
        if found is None or job is None or job.final or (job.status == RUNNING and job.lease_until >= now):
            return None
        claimed = replace(
            job, status=RUNNING, fence=job.fence + 1, lease_until=lease_until, started_at=job.started_at or now
        )
        put = _put_of(claimed, expected=job)
        # The previous holder may have renewed its lease since the read, or recorded a call that it is about to pay for.
        put["ConditionExpression"] += " AND lease_until = :lease AND doc = :doc"
        put["ExpressionAttributeValues"] |= values(lease=found["lease_until"], doc=found["doc"])
        if not self._put(put):
            return None
        if self._metrics:
            counters.running(self._jobs, claimed, now)
        return claimed

    def renew(self, job: Job, lease_until: float) -> bool:
        return self._update(job, "lease_until", lease_until)

    def save(self, job: Job) -> bool:
        return self._update(job, "doc", _document(job))

    def release(self, job: Job) -> bool:
        return self._put(_put_of(job.given_back(), expected=job))

    def finish(self, job: Job) -> bool:
        done = self._end(job, RUNNING, dynamodb_images.puts(self._images, job))
        if done and self._metrics:
            counters.gpu_models(self._jobs, metrics.gpu_reports(job), job.finished_at or 0.0)
        return done

    def cancel(self, tenant: str, job_id: str, now: float) -> bool:
        job = self.get(tenant, job_id)
        if job is None or job.status != QUEUED:
            return False
        return self._end(replace(job, status=CANCELLED, finished_at=now), QUEUED, [])

    def list(self, tenant: str, where: JobFilter, limit: int, cursor: str | None) -> Page:
        items, following = list_jobs(self._jobs, tenant, where, limit, cursor)
        return Page(dynamodb_images.present(self._images, [job_of(found) for found in items]), following)

    def remember(self, job: Job) -> None:
        row = item(f"{job.tenant}#cache", job.cache_key or "", job_id=job.id, expires_at=job.expires_at)
        aws.client("dynamodb").put_item(TableName=self._jobs, Item=row)

    def recall(self, tenant: str, cache_key: str) -> Job | None:
        row = get_item(self._jobs, f"{tenant}#cache", cache_key)
        job = self.get(tenant, row["job_id"]) if row else None
        return job if job and job.status == COMPLETED and len(job.images) == job.request.n else None

    def find_image(self, tenant: str, name: str) -> StoredImage | None:
        row = get_item(self._images, tenant, name)
        return None if row is None else StoredImage(**json.loads(row["doc"]))

    def drop_image(self, tenant: str, image: StoredImage) -> bool:
        return dynamodb_images.drop(self._images, self._jobs, tenant, image)

    def _end(self, job: Job, before: JobStatus, images: Sequence[Part]) -> bool:
        """Write the final state, images, budget, event, daily sums and counters in one transaction."""
        put = _put_of(job, expected=replace(job, status=before))
        also = [*images, *dynamodb_budget.settle(self._jobs, job), *outbox.put(self._jobs, job)]
        also += dynamodb_analytics.adds(self._jobs, job.tenant, analytics.of_job(job))
        if self._metrics:
            also += counters.ended(self._jobs, job, job.finished_at or 0.0)
        reasons = transact([{"Put": {"TableName": self._jobs, **put}}, *also])
        return not reasons or _is(reasons[0].item, put)

    def _put(self, put: Part) -> bool:
        left = refused(aws.client("dynamodb"), "put_item", TableName=self._jobs, **put)
        return left is None or _is(left, put)

    def _update(self, job: Job, attribute: str, value: object) -> bool:
        """Write one attribute of a running job."""
        update = {
            "Key": item(job.tenant, job.id),
            "UpdateExpression": f"SET {attribute} = :new",
            "ConditionExpression": "#status = :running AND fence = :fence",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": values(new=value, running=RUNNING, fence=job.fence),
        }
        return refused(aws.client("dynamodb"), "update_item", TableName=self._jobs, **update) is None


def _put_of(job: Job, *, expected: Job) -> Part:
    return {
        "Item": to_item(job, written_by=uuid.uuid4().hex),
        "ConditionExpression": "#status = :status AND fence = :fence",
        "ExpressionAttributeNames": {"#status": "status"},
        "ExpressionAttributeValues": values(status=expected.status, fence=expected.fence),
        **RETURN_OLD,
    }


def _is(found: Values, put: Part) -> bool:
    """Return whether this put wrote the item: its response was lost and it was sent again."""
    return bool(found.get("written_by") == unmarshal(put["Item"]["written_by"]))


def _same(found: Job, job: Job) -> bool:
    """Return whether the item is this job in any state, not another request's job of the same id."""
    return (found.created_at, found.request_id, found.seed) == (job.created_at, job.request_id, job.seed)


def _document(job: Job) -> str:
    kept = {k: v for k, v in job.to_dict().items() if k not in _OUTSIDE}
    # Unescaped characters take up to three times less of an item's 400 KB. Lone surrogates, which UTF-8 cannot
    # encode, are escaped.
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def to_item(job: Job, **more: str) -> Raw:
    return item(
        job.tenant,
        job.id,
        status=job.status,
        fence=job.fence,
        lease_until=job.lease_until,
        project_key=f"{job.tenant}#{job.request.project_id}",
        status_key=f"{job.tenant}#{job.status}",
        provider_key=f"{job.tenant}#{job.provider}",
        expires_at=job.expires_at,
        doc=_document(job),
        rolled_up=1 if job.final else None,  # it is in the daily sums
        **more,
    )


def job_of(found: Values) -> Job:
    outside = {"status": found["status"], "fence": found["fence"], "lease_until": float(found["lease_until"])}
    return dynamodb_images.unmarked(Job.from_dict(json.loads(found["doc"]) | outside), found)

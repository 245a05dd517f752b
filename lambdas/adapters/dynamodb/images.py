"""The rows of stored images: one by which an image is found, and one by which its project counts it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from lambdas.adapters.dynamodb.listing import read_items
from lambdas.adapters.dynamodb.transactions import transact
from lambdas.domain.jobs.job import Job, StoredImage

READ_AT_ONCE = 100  # records of one BatchGetItem
Item = dict[str, Any]


def puts(table: str, job: Job) -> list[Item]:
    """Parts of a transaction that store the rows of a job's images; they expire with the job's record."""
    expires = {"expires_at": {"N": str(job.expires_at)}}
    items: list[Item] = []
    for image in job.images:
        document = json.dumps(asdict(image), separators=(",", ":"))
        items += [{**_found_by(job.tenant, image), "doc": {"S": document}, **expires}]
        items += [{**_counted_by(job.tenant, image), **expires}]
    return [{"Put": {"TableName": table, "Item": item}} for item in items]


def drop(table: str, jobs_table: str, tenant: str, image: StoredImage) -> bool:
    """Delete an image's rows and mark it as deleted on its job; False where that was done before."""
    token = uuid.uuid4().hex  # by which this deletion knows itself where its answer was lost
    mark = {
        "TableName": jobs_table,
        "Key": {"pk": {"S": tenant}, "sk": {"S": image.job_id}},
        "UpdateExpression": "ADD deleted :images, deletions :mine",
        "ConditionExpression": "attribute_exists(pk) AND NOT contains(deleted, :image)",
        "ExpressionAttributeValues": {
            ":images": {"SS": [image.id]},
            ":image": {"S": image.id},
            ":mine": {"SS": [token]},
        },
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    rows = [_found_by(tenant, image), _counted_by(tenant, image)]
    reasons = transact([{"Update": mark}, *({"Delete": {"TableName": table, "Key": row}} for row in rows)])
    return not reasons or token in reasons[0].item.get("deletions", {}).get("SS", ())


def unmarked(job: Job, item: Item) -> Job:
    """The job without the images that are marked as deleted on its record."""
    deleted = item.get("deleted", {}).get("SS", ())
    return replace(job, images=tuple(i for i in job.images if i.id not in deleted)) if deleted else job


def present(table: str, jobs: Sequence[Job]) -> list[Job]:
    """The jobs, without the images that other jobs had made for them and that are there no more."""
    borrowed = {(job.tenant, image.name): None for job in jobs if job.cached for image in job.images}
    there: set[tuple[str, str]] = set()
    for tenant in {tenant for tenant, _ in borrowed}:
        names = [name for owner, name in borrowed if owner == tenant]
        for start in range(0, len(names), READ_AT_ONCE):
            rows = read_items(table, tenant, names[start : start + READ_AT_ONCE])
            there |= {(tenant, row["sk"]["S"]) for row in rows}
    return [
        replace(job, images=tuple(i for i in job.images if (job.tenant, i.name) in there)) if job.cached else job
        for job in jobs
    ]


def _found_by(tenant: str, image: StoredImage) -> Item:
    return {"pk": {"S": tenant}, "sk": {"S": image.name}}


def _counted_by(tenant: str, image: StoredImage) -> Item:
    return {"pk": {"S": f"{tenant}#{image.project_id}"}, "sk": {"S": image.name}}

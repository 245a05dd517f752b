"""Stores two items per image in DynamoDB: one to find it by name, and one to count the images of its project."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import asdict, replace

from lambdas.adapters.dynamodb.analytics import adds
from lambdas.adapters.dynamodb.items import RETURN_OLD, Values, item, values
from lambdas.adapters.dynamodb.listing import read_items
from lambdas.adapters.dynamodb.transactions import transact
from lambdas.adapters.dynamodb.writes import Part
from lambdas.domain import analytics, ids
from lambdas.domain.jobs.job import Job, StoredImage

READ_AT_ONCE = 100  # records of one BatchGetItem


def puts(table: str, job: Job) -> list[Part]:
    """Return the transaction parts that store the items of a job's images; they expire with the job."""
    rows = []
    for image in job.images:
        document = json.dumps(asdict(image), separators=(",", ":"))
        rows += [item(*_found_by(job.tenant, image), doc=document, expires_at=job.expires_at)]
        rows += [item(*_counted_by(job.tenant, image), expires_at=job.expires_at)]
    return [{"Put": {"TableName": table, "Item": row}} for row in rows]


def drop(table: str, jobs_table: str, tenant: str, image: StoredImage) -> bool:
    """Delete an image's items, mark it as deleted on its job, and subtract it from the daily sums that have it.

    False if it was deleted before.
    """
    token = uuid.uuid4().hex  # identifies this deletion if its response is lost and it is sent again
    keys = [item(*_found_by(tenant, image)), item(*_counted_by(tenant, image))]
    deletes: list[Part] = [{"Delete": {"TableName": table, "Key": key}} for key in keys]
    less = adds(jobs_table, tenant, analytics.of_deletion(image, ids.created_at(image.job_id)))
    # a job that ended before the daily sums existed is in none, until the backfill adds it
    for summed in (True, False, True):
        mark = {
            "TableName": jobs_table,
            "Key": item(tenant, image.job_id),
            "UpdateExpression": "ADD deleted :images, deletions :mine",
            "ConditionExpression": "attribute_exists(pk) AND NOT contains(deleted, :image)"
            f" AND attribute_{'exists' if summed else 'not_exists'}(rolled_up)",
            "ExpressionAttributeValues": values(images={image.id}, image=image.id, mine={token}),
            **RETURN_OLD,
        }
        reasons = transact([{"Update": mark}, *deletes, *(less if summed else [])])
        if not reasons or token in reasons[0].item.get("deletions", ()):
            return True
        found = reasons[0].item
        if not found or image.id in found.get("deleted", ()):
            return False
    return False


def unmarked(job: Job, found: Values) -> Job:
    """Return the job without the images that are marked as deleted on its item."""
    deleted = found.get("deleted", ())
    return replace(job, images=tuple(i for i in job.images if i.id not in deleted)) if deleted else job


def present(table: str, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs; a job answered from the cache loses the images of another job that were deleted since."""
    borrowed = {(job.tenant, image.name): None for job in jobs if job.cached for image in job.images}
    there: set[tuple[str, str]] = set()
    for tenant in {tenant for tenant, _ in borrowed}:
        names = [name for owner, name in borrowed if owner == tenant]
        for start in range(0, len(names), READ_AT_ONCE):
            rows = read_items(table, tenant, names[start : start + READ_AT_ONCE])
            there |= {(tenant, row["sk"]) for row in rows}
    return [
        replace(job, images=tuple(i for i in job.images if (job.tenant, i.name) in there)) if job.cached else job
        for job in jobs
    ]


def _found_by(tenant: str, image: StoredImage) -> tuple[str, str]:
    return tenant, image.name


def _counted_by(tenant: str, image: StoredImage) -> tuple[str, str]:
    return f"{tenant}#{image.project_id}", image.name

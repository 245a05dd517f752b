"""The gpu_result function: receives SageMaker's notices that asynchronous work has succeeded or failed."""

from __future__ import annotations

import json
from typing import Any

from lambdas import wiring
from lambdas.domain import ids
from lambdas.handlers import ready
from lambdas.observability import logger
from lambdas.usecases.jobs.requeue import requeue_finished_job


def handler(event: dict[str, Any], _context: Any) -> None:
    """Requeue the jobs. Notices about other work are ignored; if a store fails, SNS sends the notice again."""
    for record in event["Records"]:
        found = _owner(record["Sns"]["Message"], wiring.settings().images_bucket)
        if found is None:
            logger.warning("a notice about no work of ours", extra={"message_id": record["Sns"].get("MessageId")})
            continue
        tenant, job_id = found
        logger.append_keys(job_id=job_id)
        logger.info("work ended", extra={"waited_for": requeue_finished_job(tenant, job_id, wiring.live())})


def _owner(message: object, bucket: str) -> tuple[str, str] | None:
    """Return tenant and job by the location of the work's request; no other part of the notice is used."""
    try:
        place = json.loads(str(message))["requestParameters"]["inputLocation"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
    start = f"s3://{bucket}/"
    if not bucket or not isinstance(place, str) or not place.startswith(start):
        return None
    return ids.owner_of(place.removeprefix(start))


ready()

"""The routes of unified, multi-provider generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from lambdas.api import views
from lambdas.api.bodies_unified import MAX_URL, BatchBody, QuickBody, UnifiedBody
from lambdas.api.call import Call, invalid_request
from lambdas.api.routers.generate import answer_with
from lambdas.api.routes import GENERATING, Answer, Route, json_answer
from lambdas.domain import ids
from lambdas.domain.errors import ServiceError, Unavailable
from lambdas.domain.jobs import request as r
from lambdas.domain.jobs.job import QUEUED, Job
from lambdas.domain.jobs.request import ImageRequest
from lambdas.usecases.images.attachments import Intake
from lambdas.usecases.jobs.submit_batch import Refused, find_batch, submit_batch
from lambdas.usecases.webhooks.check_url import Verdict, check_webhooks


def _job(job: Job, call: Call) -> BaseModel:
    return views.JobView.of(job, call.deps.blobs)


def _generate(call: Call) -> Answer:
    return answer_with(call, call.payload.to_request(call.tenant, call.deps), _job)


def _quick(call: Call) -> Answer:
    return answer_with(call, call.payload.to_request(), _job)


def _batch(call: Call) -> Answer:
    urls = {url for url in map(_webhook_of, call.payload.requests) if url}
    verdicts = check_webhooks(urls, call.tenant, call.deps)
    intake = Intake(call.deps)
    for number, raw in enumerate(call.payload.requests):
        if isinstance(raw, dict) and isinstance(sent := raw.get("reference_image"), str):
            intake.count(sent, f"requests.{number}.reference_image")
    items = [_item(raw, call, verdicts, intake) for raw in call.payload.requests]
    batch, jobs, replayed = submit_batch(items, call.caller(), call.deps)
    view = views.BatchAccepted(
        batch_id=batch.id, jobs=[views.AcceptedView(generation_id=job.id, status=job.status) for job in jobs]
    )
    headers = {"Location": f"{call.stage}/unified/batches/{batch.id}"}
    return json_answer(view, 202, headers | ({"Idempotency-Replayed": "true"} if replayed else {}))


def _webhook_of(raw: Any) -> str | None:
    url = raw.get("webhook_url") if isinstance(raw, dict) else None
    return url if isinstance(url, str) and 0 < len(url) <= MAX_URL else None


def _item(raw: Any, call: Call, verdicts: Mapping[str, Verdict], intake: Intake) -> ImageRequest | Refused:
    """One item, judged on its own: what is wrong with it is its job's error."""
    try:
        return UnifiedBody.model_validate(raw).to_request(call.tenant, call.deps, verdicts, intake)
    except ValidationError as invalid:
        error: ServiceError = invalid_request(invalid)
    except Unavailable:
        raise
    except ServiceError as refusal:
        error = refusal
    told = raw if isinstance(raw, dict) else {}
    prompt, project_id, url = told.get("prompt"), told.get("project_id"), _webhook_of(raw)
    return Refused(
        error,
        prompt=prompt[: r.MAX_PROMPT] if isinstance(prompt, str) else "",
        project_id=project_id if isinstance(project_id, str) and ids.PROJECT.fullmatch(project_id) else "default",
        webhook_url=url if url and isinstance(verdicts[url], bool) else None,
    )


def _get_batch(call: Call) -> Answer:
    batch = find_batch(call.tenant, call.params["batch_id"], call.deps)
    jobs = call.deps.batches.jobs(batch)
    counts: dict[str, int] = {}
    for job in jobs:
        counts[job.status] = counts.get(job.status, 0) + 1
    status = "completed" if all(job.final for job in jobs) else "running"
    if counts.get(QUEUED, 0) == len(jobs):
        status = QUEUED
    view = views.BatchView(
        batch_id=batch.id, status=status, counts=counts, jobs=[views.JobView.of(job, call.deps.blobs) for job in jobs]
    )
    return json_answer(view)


_GENERATES: dict[str, Any] = {"errors": GENERATING, "tag": "unified", "headers": ("Idempotency-Key", "Prefer")}
_ANSWERS: dict[int, type[BaseModel] | str] = {200: views.JobView, 202: views.AcceptedView}

ROUTES = (
    Route("POST", "/unified/generate", "Images by any provider", _generate, _ANSWERS, body=UnifiedBody, **_GENERATES),
    Route("POST", "/unified/generate/quick", "A prompt alone", _quick, _ANSWERS, body=QuickBody, **_GENERATES),
    Route(
        "POST",
        "/unified/generate/batch",
        "Up to 100 requests as jobs",
        _batch,
        {202: views.BatchAccepted},
        body=BatchBody,
        errors=(400, 409, 413, 415, 500),
        tag="unified",
        headers=("Idempotency-Key",),
        cost=lambda payload: len(payload.requests),
    ),
    Route(
        "GET",
        "/unified/batches/{batch_id}",
        "A batch",
        _get_batch,
        {200: views.BatchView},
        errors=(404, 500),
        tag="unified",
    ),
)

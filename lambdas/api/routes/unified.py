"""The routes of unified, multi-provider generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from lambdas.api.answer import Answer, json_answer
from lambdas.api.call import Call
from lambdas.api.reading import invalid_request
from lambdas.api.route import GENERATING, BodyRoute, PlainRoute, Route, Shape
from lambdas.api.routes._generating import answer_with
from lambdas.api.schemas.jobs import AcceptedView, JobView
from lambdas.api.schemas.unified import MAX_URL, BatchAccepted, BatchBody, BatchView, QuickBody, UnifiedBody
from lambdas.domain import ids
from lambdas.domain.errors import ServiceError, Unavailable
from lambdas.domain.jobs import request as r
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import ImageRequest
from lambdas.usecases.images.attachments import Intake
from lambdas.usecases.jobs.find import batch_state
from lambdas.usecases.jobs.submit_batch import Refused, submit_batch
from lambdas.usecases.webhooks.check_url import Verdict, check_webhooks


def _job(job: Job, call: Call) -> BaseModel:
    return JobView.of(job, call.deps.blobs)


def _generate(call: Call, body: UnifiedBody) -> Answer:
    return answer_with(call, body.to_request(call.tenant, call.deps), _job)


def _quick(call: Call, body: QuickBody) -> Answer:
    return answer_with(call, body.to_request(), _job)


def _batch(call: Call, body: BatchBody) -> Answer:
    urls = {url for url in map(_webhook_of, body.requests) if url}
    verdicts = check_webhooks(urls, call.tenant, call.deps)
    intake = Intake(call.deps)
    for number, raw in enumerate(body.requests):
        if isinstance(raw, dict) and isinstance(sent := raw.get("reference_image"), str):
            intake.count(sent, f"requests.{number}.reference_image")
    items = [_item(raw, call, verdicts, intake) for raw in body.requests]
    batch, jobs, replayed = submit_batch(items, call.caller(), call.deps)
    view = BatchAccepted(
        batch_id=batch.id, jobs=[AcceptedView(generation_id=job.id, status=job.status) for job in jobs]
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
    state = batch_state(call.tenant, call.params["batch_id"], call.deps)
    jobs = [JobView.of(job, call.deps.blobs) for job in state.jobs]
    return json_answer(BatchView(batch_id=state.batch.id, status=state.status, counts=state.counts, jobs=jobs))


_ANSWERS: dict[int, Shape] = {200: JobView, 202: AcceptedView}

ROUTES: tuple[Route, ...] = (
    BodyRoute(
        method="POST",
        path="/unified/generate",
        summary="Images by any provider",
        handle=_generate,
        body=UnifiedBody,
        answers=_ANSWERS,
        errors=GENERATING,
        tag="unified",
        headers=("Idempotency-Key", "Prefer"),
    ),
    BodyRoute(
        method="POST",
        path="/unified/generate/quick",
        summary="A prompt alone",
        handle=_quick,
        body=QuickBody,
        answers=_ANSWERS,
        errors=GENERATING,
        tag="unified",
        headers=("Idempotency-Key", "Prefer"),
    ),
    BodyRoute(
        method="POST",
        path="/unified/generate/batch",
        summary="Up to 100 requests as jobs",
        handle=_batch,
        answers={202: BatchAccepted},
        body=BatchBody,
        errors=(400, 409, 413, 415, 500),
        tag="unified",
        headers=("Idempotency-Key",),
        cost=lambda body: len(body.requests),
    ),
    PlainRoute(
        method="GET",
        path="/unified/batches/{batch_id}",
        summary="A batch",
        handle=_get_batch,
        answers={200: BatchView},
        errors=(404, 500),
        tag="unified",
    ),
)

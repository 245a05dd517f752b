"""The routes of unified, multi-provider generation."""

from __future__ import annotations

from pydantic import BaseModel, ValidationError

from lambdas.api.answer import Answer, json_answer
from lambdas.api.call import Call
from lambdas.api.reading import invalid_request
from lambdas.api.route import GENERATING, BodyRoute, PlainRoute, Route, Shape
from lambdas.api.routes._generating import answer_with
from lambdas.api.schemas.jobs import AcceptedView, JobView
from lambdas.api.schemas.unified import MAX_URL, BatchAccepted, BatchBody, BatchView, QuickBody, UnifiedBody
from lambdas.domain import ids
from lambdas.domain.jobs import request as r
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import Draft, ImageRequest
from lambdas.usecases.jobs.find import batch_state
from lambdas.usecases.jobs.submit_batch import Refused, submit_batch


def _job(job: Job, call: Call) -> BaseModel:
    return JobView.of(job, call.deps.blobs)


def _generate(call: Call, body: UnifiedBody) -> Answer:
    return answer_with(call, body.to_draft(), _job)


def _quick(call: Call, body: QuickBody) -> Answer:
    return answer_with(call, body.to_draft(), _job)


def _batch(call: Call, body: BatchBody) -> Answer:
    batch, jobs, replayed = submit_batch([_item(raw) for raw in body.requests], call.caller(), call.deps)
    view = BatchAccepted(
        batch_id=batch.id, jobs=[AcceptedView(generation_id=job.id, status=job.status) for job in jobs]
    )
    headers = {"Location": f"{call.stage}/unified/batches/{batch.id}"}
    return json_answer(view, 202, headers | ({"Idempotency-Replayed": "true"} if replayed else {}))


def _item(raw: object) -> Draft | Refused:
    """One item, judged on its own: what is wrong with it is its job's error."""
    try:
        return UnifiedBody.model_validate(raw).to_draft()
    except ValidationError as invalid:
        return Refused(invalid_request(invalid), _readable(raw if isinstance(raw, dict) else {}))


def _readable(raw: dict[str, object]) -> ImageRequest:
    """What can be shown of an item that is no valid request, and the address to tell of it."""
    prompt, project_id, url = (raw.get(name) for name in ("prompt", "project_id", "webhook_url"))
    return ImageRequest(
        prompt[: r.MAX_PROMPT] if isinstance(prompt, str) else "",
        project_id=project_id if isinstance(project_id, str) and ids.PROJECT.fullmatch(project_id) else "default",
        webhook_url=url if isinstance(url, str) and 0 < len(url) <= MAX_URL else None,
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

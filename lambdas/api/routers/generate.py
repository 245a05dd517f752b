"""The routes that make images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pydantic import BaseModel

from lambdas.api import bodies, views
from lambdas.api.bodies_backgrounds import BackgroundForm, BackgroundTask
from lambdas.api.call import Call
from lambdas.api.routes import GENERATING, Answer, Route, json_answer
from lambdas.api.views_backgrounds import BackgroundView
from lambdas.domain.errors import BY_CODE, FieldError, Gone, JobCancelled, ServiceError
from lambdas.domain.jobs.job import CANCELLED, FAILED, QUEUED, Job
from lambdas.domain.jobs.request import ImageRequest
from lambdas.usecases.jobs.generate import generate


def answer_with(call: Call, request: ImageRequest, view: Callable[[Job, Call], BaseModel]) -> Answer:
    """Generate, and answer with the view of a completed job, the error of a failed one, or 202 of one going on."""
    job, replayed = generate(request, call.caller(), call.deps, respond_async=call.wants_async, deadline=call.deadline)
    headers = {"Idempotency-Replayed": "true"} if replayed else {}
    if call.wants_async or not job.final:
        headers["Location"] = f"{call.stage}/unified/jobs/{job.id}"
        if call.wants_async:
            headers["Preference-Applied"] = "respond-async"
        status = QUEUED if call.wants_async else job.status  # also when it is answered again, or done at once
        return json_answer(views.AcceptedView(generation_id=job.id, status=status), 202, headers)
    if job.status == FAILED and job.error:
        message = job.error.message
        wrong = (FieldError(job.wrong_field, message),) if job.wrong_field else ()
        kind = BY_CODE.get(job.error.code, ServiceError)
        raise kind(message, errors=wrong, headers=headers, members=views.spent(job))
    if job.status == CANCELLED:
        raise JobCancelled("the job was cancelled before it started", headers=headers, members=views.spent(job))
    if not job.images:
        told = "the images of this request were deleted; use a new Idempotency-Key"
        raise Gone(told, headers=headers, members=views.spent(job))
    return json_answer(view(job, call), headers=headers | {"X-Image-Provider": job.provider})


def _simple(job: Job, call: Call) -> BaseModel:
    url = call.deps.blobs.presign(job.images[0].key)
    return views.SimpleView(status="success", image_url=url, generation_id=job.id, metadata=views.Metadata.of(job))


def _file(job: Job, _call: Call) -> BaseModel:
    return views.FileView(image_url=job.images[0].name, generation_id=job.id, metadata=views.Metadata.of(job))


def _model(job: Job, call: Call) -> BaseModel:
    metadata = views.Metadata.of(job)
    images = [views.ModelImage(image_id=i.id, url=f"{call.base_url}/files/{i.name}", seed=i.seed) for i in job.images]
    return views.ModelGenerateView(
        status="completed",
        images=images,
        audit=views.Audit(policy="standard", duration_sec=f"{metadata.generation_time or 0:.3f}"),
        error=None,
        generation_id=job.id,
        metadata=metadata,
    )


def background(call: Call) -> Answer:
    """A body of bodies_backgrounds, answered."""
    request = call.payload.to_request(call.tenant, call.deps)
    return answer_with(call, request, lambda job, call: BackgroundView.of(job, call.deps.blobs))


def _generate(call: Call) -> Answer:
    if isinstance(call.payload, (BackgroundForm, BackgroundTask)):
        return background(call)
    return answer_with(call, call.payload.to_request(), _simple)


def _route(
    path: str, summary: str, body: type[BaseModel], view: type[BaseModel], make: Callable[[Job, Call], BaseModel]
) -> Route:
    return Route(
        "POST",
        path,
        summary,
        lambda call: answer_with(call, call.payload.to_request(), make),
        {200: view, 202: views.AcceptedView},
        body=body,
        errors=GENERATING,
        tag="generation",
        headers=("Idempotency-Key", "Prefer"),
    )


ROUTES = (
    replace(
        _route("/generate", "Prompt in, pre-signed image URL out", bodies.GenerateBody, views.SimpleView, _simple),
        handle=_generate,
        answers={200: (views.SimpleView, BackgroundView), 202: views.AcceptedView},
        form=BackgroundForm,
        task_body=BackgroundTask,
    ),
    _route("/generate-image", "Prompt in, file name out", bodies.GenerateImageBody, views.FileView, _file),
    _route("/v1/generate", "The model service's generation", bodies.ModelGenerateBody, views.ModelGenerateView, _model),
)

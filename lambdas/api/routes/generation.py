"""The routes that make images."""

from __future__ import annotations

from pydantic import BaseModel

from lambdas.api.answer import Answer
from lambdas.api.call import Call
from lambdas.api.route import GENERATING, BodyRoute, Route
from lambdas.api.routes._generating import answer_with
from lambdas.api.routes.backgrounds import background
from lambdas.api.schemas.backgrounds import BackgroundForm, BackgroundTask, BackgroundView
from lambdas.api.schemas.generation import (
    Audit,
    FileView,
    GenerateBody,
    GenerateImageBody,
    ModelGenerateBody,
    ModelGenerateView,
    ModelImage,
    SimpleView,
)
from lambdas.api.schemas.jobs import AcceptedView
from lambdas.api.schemas.receipt import Metadata
from lambdas.domain.jobs.job import Job


def _simple(job: Job, call: Call) -> BaseModel:
    url = call.deps.blobs.presign(job.images[0].key)
    return SimpleView(status="success", image_url=url, generation_id=job.id, metadata=Metadata.of(job))


def _file(job: Job, _call: Call) -> BaseModel:
    return FileView(image_url=job.images[0].name, generation_id=job.id, metadata=Metadata.of(job))


def _model(job: Job, call: Call) -> BaseModel:
    metadata = Metadata.of(job)
    images = [ModelImage(image_id=i.id, url=f"{call.base_url}/files/{i.name}", seed=i.seed) for i in job.images]
    return ModelGenerateView(
        status="completed",
        images=images,
        audit=Audit(policy="standard", duration_sec=f"{metadata.generation_time or 0:.3f}"),
        error=None,
        generation_id=job.id,
        metadata=metadata,
    )


def _generate(call: Call, body: GenerateBody | BackgroundTask | BackgroundForm) -> Answer:
    if not isinstance(body, GenerateBody):
        return background(call, body)
    return answer_with(call, body.to_draft(), _simple)


def _generate_image(call: Call, body: GenerateImageBody) -> Answer:
    return answer_with(call, body.to_draft(), _file)


def _model_generate(call: Call, body: ModelGenerateBody) -> Answer:
    return answer_with(call, body.to_draft(), _model)


ROUTES: tuple[Route, ...] = (
    BodyRoute[GenerateBody | BackgroundTask | BackgroundForm](
        method="POST",
        path="/generate",
        summary="Prompt in, pre-signed image URL out",
        handle=_generate,
        body=GenerateBody,
        task_body=BackgroundTask,
        form=BackgroundForm,
        answers={200: (SimpleView, BackgroundView), 202: AcceptedView},
        errors=GENERATING,
        tag="generation",
        headers=("Idempotency-Key", "Prefer"),
    ),
    BodyRoute(
        method="POST",
        path="/generate-image",
        summary="Prompt in, file name out",
        handle=_generate_image,
        body=GenerateImageBody,
        answers={200: FileView, 202: AcceptedView},
        errors=GENERATING,
        tag="generation",
        headers=("Idempotency-Key", "Prefer"),
    ),
    BodyRoute(
        method="POST",
        path="/v1/generate",
        summary="The model service's generation",
        handle=_model_generate,
        body=ModelGenerateBody,
        answers={200: ModelGenerateView, 202: AcceptedView},
        errors=GENERATING,
        tag="generation",
        headers=("Idempotency-Key", "Prefer"),
    ),
)

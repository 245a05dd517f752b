"""What clients get: the answers' shapes, made from job records."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lambdas.domain import catalogue
from lambdas.domain.jobs.job import Attempt, Job, Rewriting
from lambdas.domain.ports.media import Blobs


class View(BaseModel):
    """A closed answer."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class DroppedParam(View):
    name: str
    reason: str


class AttemptView(View):
    provider: str
    model: str
    outcome: Literal["success", "failed", "refused", "unknown"]
    error_code: str | None
    duration: float = Field(description="Seconds.")
    cost_usd: float

    @classmethod
    def of(cls, attempt: Attempt) -> AttemptView:
        return cls(
            provider=attempt.provider,
            model=attempt.model,
            outcome=attempt.outcome,
            error_code=attempt.error_code,
            duration=round(attempt.duration, 3),
            cost_usd=attempt.cost_usd,
        )


class PromptValidation(View):
    original_length: int
    optimized_length: int
    optimization_time: float = Field(description="Seconds.")
    method: Literal["none", "llm", "deterministic"]
    engine: str | None = Field(description="The model that rewrote the prompt.")
    cost_usd: float = Field(description="Of the language models that were asked; part of the whole.")


class Sizing(View):
    generated: str = Field(description="The size the model made.", examples=["1024x1024"])
    returned: str = Field(description="The size of the image in the answer.", examples=["512x512"])
    by: str = Field(description="How the one became the other.", examples=["reduced", "enlarged+cropped"])


class Metadata(View):
    """What was done to get the answer."""

    prompt_validation: PromptValidation
    generation_time: float | None = Field(description="Seconds from start to end.")
    provider: str
    provider_model: str
    cost_usd: float
    cached: bool
    dropped_params: list[DroppedParam]
    attempts: list[AttemptView]
    size: Sizing | None = Field(description="Where the image was not made at the size that was asked for.")
    warnings: list[str]

    @classmethod
    def of(cls, job: Job) -> Metadata:
        rewriting = job.rewriting or Rewriting()
        took = job.finished_at - job.started_at if job.finished_at and job.started_at else None
        return cls(
            prompt_validation=PromptValidation(
                original_length=len(job.request.prompt),
                optimized_length=len(job.prompt or job.request.prompt),
                optimization_time=round(rewriting.seconds, 3),
                method=rewriting.method,
                engine=rewriting.engine,
                cost_usd=rewriting.cost_usd,
            ),
            generation_time=None if took is None else round(took, 3),
            provider=job.provider,
            provider_model=job.model,
            cost_usd=job.cost_usd,
            cached=job.cached,
            dropped_params=[DroppedParam(**asdict(d)) for d in job.dropped],
            attempts=[AttemptView.of(attempt) for attempt in job.attempts],
            size=Sizing(**asdict(job.sizing)) if job.sizing else None,
            warnings=[*job.warnings, *rewriting.warnings, *_unsure(job)],
        )


def _unsure(job: Job) -> list[str]:
    """Of the calls whose end is known, those that may have been charged; an `unknown` one says so by itself."""
    unsure = (a for a in job.attempts if a.unsure and a.outcome != "unknown" and _is_paid(a.model))
    return [f"{a.provider} may have charged for its {a.outcome} call: nobody knows" for a in unsure]


def _is_paid(model: str) -> bool:
    card = catalogue.card(model)
    return card is not None and card.price_usd > 0


class ImageView(View):
    id: str
    url: str = Field(description="Pre-signed; works without a key until it expires.")
    local_url: str = Field(description="The stable link on this service.")
    download_url: str = Field(description="Pre-signed, as `url`.")
    width: int
    height: int
    format: Literal["png", "jpeg", "webp"]
    seed: int


class BackgroundImageView(ImageView):
    """A product on its background."""

    mask_url: str = Field(description="A PNG of the image's size, pre-signed: white where the product is opaque.")
    confidence: float = Field(description="How far the cut-out can be trusted, 0 to 1.")


class JobError(View):
    code: str
    message: str


class JobView(View):
    """A job and its images."""

    generation_id: str
    provider: str
    status: Literal["queued", "running", "completed", "failed", "cancelled"]
    prompt: str = Field(description="As sent to the provider.")
    images: list[BackgroundImageView | ImageView]
    metadata: Metadata
    project_id: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    error: JobError | None
    labels: dict[str, str] = Field(description="The `metadata` that the client sent along.")
    request_id: str = Field(description="The `X-Request-Id` of the request that made the job.")

    @classmethod
    def of(cls, job: Job, blobs: Blobs) -> JobView:
        images: list[BackgroundImageView | ImageView] = []
        for image in job.images if job.final else ():
            signed = blobs.presign(image.key)
            told: dict[str, Any] = {
                "id": image.id,
                "url": signed,
                "download_url": signed,
                "local_url": f"/storage/images/{image.project_id}/{image.provider}/{image.name}",
                "width": image.width,
                "height": image.height,
                "format": image.format,
                "seed": image.seed,
            }
            if image.mask_key:
                mask = blobs.presign(image.mask_key)
                images.append(BackgroundImageView(**told, mask_url=mask, confidence=image.confidence or 0.0))
            else:
                images.append(ImageView(**told))
        return cls(
            generation_id=job.id,
            provider=job.provider,
            status=job.status,
            prompt=job.prompt or job.request.prompt,
            images=images,
            metadata=Metadata.of(job),
            project_id=job.request.project_id,
            created_at=iso(job.created_at) or "",
            started_at=iso(job.started_at),
            finished_at=iso(job.finished_at),
            error=JobError(**asdict(job.error)) if job.error else None,
            labels=job.request.labels,
            request_id=job.request_id,
        )


class JobsView(View):
    jobs: list[JobView]
    next_cursor: str | None


class AcceptedView(View):
    """The work goes on as a job; `Location` says where to look."""

    generation_id: str
    status: Literal["queued", "running", "completed", "failed", "cancelled"]


class BatchAccepted(View):
    batch_id: str
    jobs: list[AcceptedView]


class BatchView(View):
    batch_id: str
    status: Literal["queued", "running", "completed"]
    counts: dict[str, int]
    jobs: list[JobView]


class SimpleView(View):
    """POST /generate."""

    status: Literal["success"]
    image_url: str
    generation_id: str
    metadata: Metadata


class FileView(View):
    """POST /generate-image: a file name for GET /download/{filename}."""

    image_url: str
    generation_id: str
    metadata: Metadata


class ModelImage(View):
    image_id: str
    url: str
    seed: int


class Audit(View):
    policy: Literal["standard"]
    duration_sec: str


class ModelGenerateView(View):
    """POST /v1/generate."""

    status: Literal["completed"]
    images: list[ModelImage]
    audit: Audit
    error: None
    generation_id: str
    metadata: Metadata


class SizeLimits(View):
    """Of a model that takes any sides within them, in pixels."""

    min: int
    max: int
    step: int
    max_pixels: int


class ModelView(View):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    provider: str
    capabilities: list[str]
    status: Literal["available", "unconfigured", "retired"]
    retires_on: str | None
    shutdown_date: str | None = Field(description="As `retires_on`, by the name that OpenAI's SDK knows.")
    replacement: str | None = Field(description="For a retired model: what to use instead.")
    warnings: list[str] = Field(description="Such as that the model will end soon.")
    price_usd: float | None = Field(description="Of one image at the default size; 0 where a machine is yours.")
    sizes: SizeLimits | list[str] | None = Field(
        description="What the model itself makes; null for any. Every other size is made of the nearest one."
    )
    honours: list[Literal["cfg", "negative_prompt", "seed", "steps"]]
    prompt_max: int | None = Field(description="Characters.")
    typical_seconds: float | None
    licence: str | None


class ModelsView(View):
    object: Literal["list"]
    data: list[ModelView]
    models: list[str] = Field(description="The ids that POST /v1/generate takes.")
    default_model: str


class HealthView(View):
    status: Literal["ok"]


class Problem(BaseModel):
    """An error, by RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(description="A stable word for machines.")
    errors: list[dict[str, Any]] | None = Field(None, description="Each invalid field, with a message.")
    generation_id: str | None = Field(None, description="Of the job that has failed.")
    attempts: list[AttemptView] | None = Field(None, description="Who was asked for it, and why each failed.")
    cost_usd: float | None = Field(None, description="What it has cost all the same.")


class OpenAIErrorBody(View):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(View):
    """An error in OpenAI's shape, on /v1/images/*."""

    error: OpenAIErrorBody
    generation_id: str | None = Field(None, description="Of the job that has failed.")
    attempts: list[AttemptView] | None = Field(None, description="Who was asked for it, and why each failed.")
    cost_usd: float | None = Field(None, description="What it has cost all the same.")


def spent(job: Job) -> dict[str, Any]:
    """What the error of a job tells of it: who was asked, why each failed, what it has cost."""
    attempts = [AttemptView.of(attempt).model_dump() for attempt in job.attempts]
    return {"generation_id": job.id, "attempts": attempts, "cost_usd": job.cost_usd}


def iso(moment: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC, to the millisecond."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Jobs: which to list, and what a client gets of one."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from lambdas.api.schemas.common import ProviderName, Query, View
from lambdas.api.schemas.receipt import Metadata
from lambdas.domain.ids import JOB_ID
from lambdas.domain.iso_time import iso
from lambdas.domain.jobs.job import Job, JobFilter, JobStatus
from lambdas.domain.jobs.request import Format
from lambdas.domain.ports.media import Blobs

DAY = 86_400.0  # seconds
LAST_YEAR = 9999  # whose last day may be none of UTC


def _moment(value: object) -> object:
    """ISO 8601; without a zone it is UTC; a plus sign that a URL turned into a space is understood."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value.strip().replace(" ", "+").upper())
    except ValueError:
        raise ValueError("must be a time in ISO 8601, such as 2026-11-20T12:00:00Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not 1971 <= moment.year < LAST_YEAR:
        raise ValueError(f"must be of the years from 1971 to {LAST_YEAR - 1}")
    return moment.timestamp()


def _last_moment(value: object) -> object:
    """The same as the end of a range: a date alone is the whole of its day, to the last millisecond."""
    moment = _moment(value)
    return moment + DAY - 0.001 if isinstance(moment, float) and _is_date(value) else moment


def _is_date(value: object) -> bool:
    try:
        date.fromisoformat(str(value).strip())
    except ValueError:
        return False
    return True


_MOMENT = WithJsonSchema({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]})
_EXAMPLES = ["2026-11-20T12:00:00Z", "2026-11-20"]
Moment = Annotated[
    float | None,
    BeforeValidator(_moment),
    Field(description="ISO 8601, UTC where no zone is given.", examples=_EXAMPLES),
    _MOMENT,
]
LastMoment = Annotated[
    float | None,
    BeforeValidator(_last_moment),
    Field(description="ISO 8601, UTC where no zone is given; a date alone with its whole day.", examples=_EXAMPLES),
    _MOMENT,
]


class JobsQuery(Query):
    """The query of GET /unified/jobs."""

    project_id: str | None = Field(None, min_length=1, max_length=63)
    status: JobStatus | None = None
    provider: ProviderName | None = None
    since: Moment = Field(None, alias="from")
    until: LastMoment = Field(None, alias="to")
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, pattern=f"^{JOB_ID.pattern}$")

    @field_validator("until")
    @classmethod
    def _in_order(cls, until: float | None, info: ValidationInfo) -> float | None:
        since = info.data.get("since")
        if since is not None and until is not None and since > until:
            raise ValueError("must not be before from")
        return until

    def to_filter(self) -> JobFilter:
        return JobFilter(self.project_id, self.status, self.provider, self.since, self.until)


class ImageView(View):
    id: str
    url: str = Field(description="Pre-signed; works without a key until it expires.")
    local_url: str = Field(description="The stable link on this service.")
    download_url: str = Field(description="Pre-signed, as `url`.")
    width: int
    height: int
    format: Format
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
    status: JobStatus
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
    status: JobStatus

"""What clients get of a product background, and of the GPU worker's memory."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lambdas.api.views import Metadata, View
from lambdas.domain.jobs.job import Job
from lambdas.domain.ports.media import Blobs


class BackgroundMetadata(Metadata):
    confidence_components: dict[str, float | None] = Field(
        description="What the confidence is made of; null for what could not be computed."
    )


class BackgroundView(View):
    """The product on its new background."""

    status: Literal["success"]
    image_url: str = Field(description="Pre-signed; works without a key until it expires.")
    mask_url: str = Field(description="A PNG of the image's size, pre-signed: white where the product is opaque.")
    confidence: float = Field(ge=0, le=1, description="How far the cut-out can be trusted.")
    seed: int
    generation_id: str
    metadata: BackgroundMetadata

    @classmethod
    def of(cls, job: Job, blobs: Blobs) -> BackgroundView:
        image = job.images[0]
        return cls(
            status="success",
            image_url=blobs.presign(image.key),
            mask_url=blobs.presign(image.mask_key),
            confidence=image.confidence or 0.0,
            seed=image.seed,
            generation_id=job.id,
            metadata=BackgroundMetadata(**Metadata.of(job).model_dump(), confidence_components=dict(image.components)),
        )


class PurgeView(View):
    """What is left in the GPU worker's memory."""

    model_id: str | None
    removed: list[str]
    remaining: list[str]

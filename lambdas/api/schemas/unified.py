"""Unified, multi-provider generation, one image or a batch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from lambdas.api.schemas.common import Body, NegativePrompt, Painting, Prompt, ProviderChoice, ProviderName, View, Whole
from lambdas.api.schemas.jobs import AcceptedView, JobView
from lambdas.domain import ids
from lambdas.domain.jobs.request import Draft, Format, ImageRequest, Strategy
from lambdas.domain.providers import ALL

Label = Annotated[str, StringConstraints(max_length=500)]
LabelName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


def _one_sentence(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    """One error for the field, where pydantic gives one for each kind of value that it could have been."""
    try:
        return validate(value)
    except ValidationError:
        known = ", ".join(ALL)
        raise ValueError(f"must be true, false, or a list of 1 to 8 providers out of: {known}") from None


MAX_URL = 2000
_NOT_COPIED = {"reference_image", "cache", "metadata", "fallback"}


class UnifiedBody(Painting):
    """POST /unified/generate."""

    prompt: Prompt
    negative_prompt: NegativePrompt = None
    provider: ProviderChoice = "auto"
    n: Annotated[int, Field(ge=1, le=8, description="How many images."), Whole] = 1
    format: Format = "png"
    reference_image: str | None = Field(
        None,
        min_length=1,
        description="An image to start from: base64 or a data URI of a PNG, JPEG or WebP, or an upload_id.",
    )
    project_id: str = Field("default", pattern=f"^{ids.PROJECT.pattern}$")
    strategy: Strategy = "balanced"
    fallback: Annotated[
        bool | Annotated[list[ProviderName], Field(min_length=1, max_length=8)], WrapValidator(_one_sentence)
    ] = Field(True, description="Whether another provider may answer, or which, in order.")
    optimize_prompt: bool = Field(True, description="Whether a prompt of 3,000 characters or more may be compressed.")
    cache: Literal["auto", "off"] = "auto"
    webhook_url: str | None = Field(
        None, min_length=1, max_length=MAX_URL, description="An https address that is told how the job has ended."
    )
    metadata: dict[LabelName, Label] = Field(default_factory=dict, max_length=16, description="Kept with the job.")

    def to_draft(self) -> Draft:
        request = ImageRequest(
            **self.model_dump(exclude=_NOT_COPIED),
            cache=self.cache == "auto",
            fallback=tuple(self.fallback) if isinstance(self.fallback, list) else self.fallback,
            labels=dict(self.metadata),
            given=self.given(),
        )
        return Draft(request, self.reference_image, "reference_image")


class QuickBody(Body):
    """POST /unified/generate/quick."""

    prompt: Prompt

    def to_draft(self) -> Draft:
        return Draft(ImageRequest(self.prompt, strategy="fastest", given=("prompt",)))


class BatchBody(Body):
    """POST /unified/generate/batch. Each item is a body of POST /unified/generate, judged on its own."""

    requests: list[Any] = Field(min_length=1, max_length=100)


class BatchAccepted(View):
    batch_id: str
    jobs: list[AcceptedView]


class BatchView(View):
    batch_id: str
    status: Literal["queued", "running", "completed"]
    counts: dict[str, int]
    jobs: list[JobView]

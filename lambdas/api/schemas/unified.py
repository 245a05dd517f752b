"""Unified, multi-provider generation, one image or a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from lambdas.api.schemas.common import Body, NegativePrompt, Painting, Prompt, ProviderChoice, ProviderName, View, Whole
from lambdas.api.schemas.jobs import AcceptedView, JobView
from lambdas.domain import ids
from lambdas.domain.errors import InvalidRequest
from lambdas.domain.jobs.request import Dropped, ImageRequest
from lambdas.domain.providers import ALL
from lambdas.usecases.deps import Deps
from lambdas.usecases.images.attachments import Intake
from lambdas.usecases.webhooks.check_url import Verdict, check_webhooks

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
_NOT_COPIED = {"reference_image", "cache", "webhook_url", "metadata", "fallback"}
_SILENT = Dropped(
    "webhook_url", "this address has answered 410 Gone: nothing is sent there until one of its webhooks is replayed"
)


class UnifiedBody(Painting):
    """POST /unified/generate."""

    prompt: Prompt
    negative_prompt: NegativePrompt = None
    provider: ProviderChoice = "auto"
    n: Annotated[int, Field(ge=1, le=8, description="How many images."), Whole] = 1
    format: Literal["png", "jpeg", "webp"] = "png"
    reference_image: str | None = Field(
        None, min_length=1, description="An image to start from: base64 or a data URI of a PNG, JPEG or WebP."
    )
    project_id: str = Field("default", pattern=f"^{ids.PROJECT.pattern}$")
    strategy: Literal["balanced", "fastest", "cheapest", "quality"] = "balanced"
    fallback: Annotated[
        bool | Annotated[list[ProviderName], Field(min_length=1, max_length=8)], WrapValidator(_one_sentence)
    ] = Field(True, description="Whether another provider may answer, or which, in order.")
    optimize_prompt: bool = Field(True, description="Whether a prompt of 3,000 characters or more may be compressed.")
    cache: Literal["auto", "off"] = "auto"
    webhook_url: str | None = Field(
        None, min_length=1, max_length=MAX_URL, description="An https address that is told how the job has ended."
    )
    metadata: dict[LabelName, Label] = Field(default_factory=dict, max_length=16, description="Kept with the job.")

    def to_request(
        self, tenant: str, deps: Deps, verdicts: Mapping[str, Verdict] | None = None, intake: Intake | None = None
    ) -> ImageRequest:
        """Checks the reference image, if there is one. Raises its errors, and InvalidRequest for the webhook.

        `verdicts` on webhooks' addresses, where they are known already. `intake`: that of a request of several bodies.
        """
        silent = self.webhook_url is not None and self._silent(self.webhook_url, tenant, deps, verdicts)
        sent: dict[str, Any] = self.model_dump(exclude=_NOT_COPIED)
        order = tuple(self.fallback) if isinstance(self.fallback, list) else self.fallback
        if self.reference_image is not None:
            intake = intake or Intake(deps)
            clean = intake.take(self.reference_image, "reference_image")
            attachment = clean.attached(tenant)
            sent |= {
                "attachment": attachment,
                "reference_key": attachment.key,
                "reference_type": clean.media_type,
                "reference_field": "reference_image",
                "warnings": clean.warnings,
            }
        return ImageRequest(
            **sent,
            cache=self.cache == "auto",
            fallback=order,
            labels=dict(self.metadata),
            webhook_url=self.webhook_url,
            ignored=(_SILENT,) if silent else (),
            given=self.given(),
        )

    @staticmethod
    def _silent(url: str, tenant: str, deps: Deps, known: Mapping[str, Verdict] | None) -> bool:
        verdict = (known or check_webhooks((url,), tenant, deps))[url]
        if isinstance(verdict, InvalidRequest):
            raise verdict
        return verdict


class QuickBody(Body):
    """POST /unified/generate/quick."""

    prompt: Prompt

    def to_request(self) -> ImageRequest:
        return ImageRequest(self.prompt, strategy="fastest", given=("prompt",))


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

"""The three plain routes that make images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from lambdas.api.schemas.common import Body, NegativePrompt, Painting, Prompt, View
from lambdas.api.schemas.receipt import Metadata
from lambdas.domain.jobs.request import Draft, Format, ImageRequest


class GenerateBody(Painting):
    """POST /generate."""

    prompt: Prompt
    negative_prompt: NegativePrompt = None
    format: Format = "png"

    def to_draft(self) -> Draft:
        return Draft(ImageRequest(**self.model_dump(), given=self.given()))


class GenerateImageBody(Painting):
    """POST /generate-image."""

    prompt: Prompt
    negative_prompt: NegativePrompt = None

    def to_draft(self) -> Draft:
        defaults = {"width": 512, "height": 512, "steps": 30, "cfg": 7.0}
        sent = {k: v for k, v in self.model_dump().items() if v is not None}
        return Draft(ImageRequest(**(defaults | sent), given=self.given()))


class ModelGenerateBody(Body):
    """POST /v1/generate."""

    prompt: Prompt
    negative_prompt: NegativePrompt = None
    params: Painting = Field(default_factory=Painting)

    @field_validator("params", mode="before")
    @classmethod
    def _null_is_empty(cls, value: object) -> object:
        return {} if value is None else value

    def to_draft(self) -> Draft:
        given = (*self.params.given(), *({"negative_prompt"} & set(self.given())))
        sent = {"prompt": self.prompt, "negative_prompt": self.negative_prompt, **self.params.model_dump()}
        return Draft(ImageRequest(**sent, given=given))


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

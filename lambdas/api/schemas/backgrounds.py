"""Product backgrounds: the body as JSON and as a form, and the answer."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, field_validator

from lambdas.api.schemas.common import Body, NegativePrompt, Seed, Side, View, Visible, Whole
from lambdas.api.schemas.receipt import Metadata
from lambdas.domain.backgrounds import MAX_PADDING
from lambdas.domain.errors import FieldError, InvalidRequest
from lambdas.domain.jobs import request as r
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import Draft, Format, ImageRequest
from lambdas.domain.ports.media import Blobs

_DIGITS = re.compile(r"-?[0-9]{1,15}")
_BOTH = "width and height go together: send both, or neither for the product's own size"


class BackgroundFields(Body):
    """The scene around the product."""

    prompt: Annotated[str, Visible] | None = Field(
        None,
        min_length=1,
        max_length=r.MAX_PROMPT,
        pattern=r"\S",
        description="The scene around the product; a plain bright room where it is left out.",
        examples=["on a rock by the sea at sunset"],
    )
    negative_prompt: NegativePrompt = None
    seed: Seed = None
    width: Side = None
    height: Side = None
    padding: Annotated[
        int | None,
        Field(ge=0, le=MAX_PADDING, description="Pixels around the product, which is never scaled."),
        Whole,
    ] = None
    format: Format = Field(
        "png",
        description="`png` and `webp` keep the product's pixels to the byte; `jpeg` cannot, and a warning says so.",
    )

    def _draft(self, photo: str, name: str) -> Draft:
        """`name` is the photo's field. Raises InvalidRequest."""
        if (self.width is None) != (self.height is None):
            missing = "width" if self.width is None else "height"
            raise InvalidRequest(_BOTH, errors=(FieldError(missing, _BOTH),))
        sent: dict[str, Any] = {n: getattr(self, n) for n in BackgroundFields.model_fields}
        sent["prompt"] = self.prompt or r.SCENE_PROMPT
        given = tuple(n for n in self.given() if n in BackgroundFields.model_fields)
        return Draft(ImageRequest(**sent, task=r.BACKGROUND, given=given), photo, name)


class BackgroundBody(BackgroundFields):
    """POST /v1/backgrounds."""

    image: str = Field(
        min_length=1,
        description="The product's photo: base64 or a data URI of a PNG, JPEG or WebP, or an upload_id.",
    )
    task: Literal["background"] = "background"

    def to_draft(self) -> Draft:
        return self._draft(self.image, "image")


class BackgroundTask(BackgroundBody):
    """POST /generate with `task`."""

    task: Literal["background"]


class BackgroundForm(BackgroundFields):
    """The same as a form; `file` is base64 here, after the form was read."""

    file: Annotated[str, WithJsonSchema({"type": "string", "format": "binary"})] = Field(
        min_length=1, description="The product's photo: a PNG, JPEG or WebP, cut out or not."
    )
    task: Literal["background"] = "background"

    @field_validator("seed", "width", "height", "padding", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        """Everything in a form is a text."""
        return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value

    def to_draft(self) -> Draft:
        return self._draft(self.file, "file")


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

"""OpenAI's image routes: the bodies, field by field as OpenAI documents them, and the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lambdas.api.schemas.common import Body, Prompt, View, Whole
from lambdas.api.schemas.receipt import Metadata
from lambdas.domain import catalogue
from lambdas.domain.aliases import meant_by
from lambdas.domain.errors import FieldError, InvalidRequest
from lambdas.domain.ids import UPLOAD
from lambdas.domain.jobs import request as r
from lambdas.domain.jobs.request import DEFAULT_STRATEGY, Draft, Dropped, ImageRequest, Strategy, Tokens

if TYPE_CHECKING:
    from lambdas.domain.jobs.job import Job

MAX_IMAGES = 10  # of one request
MAX_PICTURES = 16  # of one edit
MAX_NAME = 500  # characters of `user` and `safety_identifier`, which are kept with the job
Applied = Literal["low", "medium", "high", "xhigh", "max"]

# By OpenAI's word for the quality: how the model is chosen, and OpenAI's own word for that in the answer.
_QUALITIES: Mapping[str | None, tuple[Strategy | Literal["default"], Applied]] = {
    "low": ("cheapest", "low"),
    "medium": ("balanced", "medium"),
    "standard": ("balanced", "medium"),
    "auto": (DEFAULT_STRATEGY, "medium"),
    None: (DEFAULT_STRATEGY, "medium"),
    "high": ("quality", "high"),
    "hd": ("quality", "high"),
    "xhigh": ("quality", "xhigh"),
    "max": ("quality", "max"),
}
_DIGITS = re.compile(r"-?[0-9]{1,15}")
_SIZE = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")
_DROPPED = {
    "style": "the models here have no such parameter; say it in the prompt",
    "moderation": "each provider applies its own moderation, which a request cannot change",
    "complexity": "the models here have no such parameter",
    "input_fidelity": "the models here have no such parameter",
}


def _size(size: str | None) -> str | None:
    if size is None or size == "auto":
        return size
    found = _SIZE.fullmatch(size)
    sides = [int(side) for side in found.groups()] if found else []
    if not found or any(not r.MIN_SIDE <= side <= r.MAX_SIDE or side % r.SIDE_STEP for side in sides):
        limits = f"multiples of {r.SIDE_STEP} from {r.MIN_SIDE} to {r.MAX_SIDE}"
        raise ValueError(f"must be auto or WIDTHxHEIGHT, such as 1024x1024, of two {limits}")
    return size


def _format(value: object) -> object:
    if value in ("gif", "svg"):
        raise PydanticCustomError("unsupported_value", "this service makes png, jpeg and webp")
    return value


def _background(value: object) -> object:
    if value == "transparent":
        said = "no model here paints on a transparent background; opaque and auto are taken"
        raise PydanticCustomError("unsupported_value", said)
    return value


def _unsupported(value: object) -> object:
    if value is not None:
        raise PydanticCustomError("unsupported_parameter", "this service has no such parameter; leave it out")
    return value


Unsupported = Annotated[None, BeforeValidator(_unsupported), WithJsonSchema({"type": "null"})]
ModelName = Annotated[
    str | None,
    Field(min_length=1, max_length=200),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": [card.id for card in catalogue.CARDS]},
                {"type": "string", "pattern": "^(gpt-image|dall-e|chatgpt-image)-", "examples": ["gpt-image-2"]},
                {"type": "null"},
            ],
            "description": "A model of GET /v1/models, or a name of OpenAI's, which stands for the default model.",
        }
    ),
]


class ImagesBody(Body):
    """What generations and edits have in common."""

    prompt: Prompt
    model: ModelName = None
    n: Annotated[int | None, Field(ge=1, le=MAX_IMAGES, description="How many images."), Whole] = None
    size: Annotated[str | None, AfterValidator(_size)] = Field(
        None, pattern="^(auto|[0-9]{1,5}x[0-9]{1,5})$", description="`auto`, or `WIDTHxHEIGHT`.", examples=["1024x1024"]
    )
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] | None = Field(
        None, description="Chooses the strategy where `model` is a name of OpenAI's or left out; dropped otherwise."
    )
    background: Annotated[Literal["opaque", "auto"] | None, BeforeValidator(_background)] = None
    moderation: Literal["low", "auto"] | None = Field(None, description="Dropped, and named.")
    output_format: Annotated[Literal["png", "jpeg", "webp"] | None, BeforeValidator(_format)] = None
    output_compression: Annotated[int | None, Field(ge=0, le=100), Whole] = Field(
        None, description="The quality that a jpeg or a webp is encoded with; a png takes 100 alone."
    )
    stream: bool | None = Field(None, description="Whether the answer is a text/event-stream.")
    partial_images: Annotated[int | None, Field(ge=0, le=3), Whole] = Field(
        None, description="Above 0 it is dropped, and named: the finished images are sent."
    )
    response_format: Literal["url", "b64_json"] | None = Field(None, description="`b64_json` where it is left out.")
    user: str | None = Field(None, max_length=MAX_NAME, description="Kept with the job as a label, and sent nowhere.")
    safety_identifier: str | None = Field(None, max_length=MAX_NAME, description="As `user`, and goes before it.")
    complexity: Literal["low", "medium", "high"] | None = Field(None, description="Dropped, and named.")
    frame_count: Unsupported = None
    frame_duration_ms: Unsupported = None
    markup: Unsupported = None
    svg: Unsupported = None

    @field_validator("output_compression")
    @classmethod
    def _compressible(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value not in (None, 100) and info.data.get("output_format", "") in ("png", None):
            raise PydanticCustomError("unsupported_value", "a png is never less than 100; ask for jpeg or webp")
        return value

    @field_validator("response_format")
    @classmethod
    def _streamable(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value == "url" and info.data.get("stream"):
            raise PydanticCustomError("unsupported_value", "a stream carries b64_json alone")
        return value

    @property
    def identifier(self) -> str | None:
        """Who the image is for, in the client's own words."""
        return self.safety_identifier or self.user or None

    @property
    def applied_quality(self) -> Applied:
        return _QUALITIES[self.quality][1]

    def to_request(self, aliases: Mapping[str, str]) -> ImageRequest:
        """The request, where `aliases` has the model by pattern of OpenAI's names."""
        known = self.model is not None and (catalogue.card(self.model) or catalogue.retired(self.model))
        alias = None if self.model is None or known else meant_by(self.model, aliases)
        model = self.model if alias is None else alias or None
        width, height = map(int, self.size.split("x")) if self.size not in (None, "auto") else (None, None)
        given = {name: getattr(self, name) for name in self.given()}
        ignored = [Dropped(name, reason) for name, reason in _DROPPED.items() if name in given]
        if given.get("partial_images"):
            ignored.append(Dropped("partial_images", "the finished images are sent, and no earlier ones"))
        if model is not None and "quality" in given:
            ignored.append(Dropped("quality", "it chooses a model, and this request names one"))
        if alias is not None:
            stands_for = model or "the default model"
            said = f"{self.model} stands for {stands_for} here; provider_model names the one that answered"
            ignored.append(Dropped("model", said))
        output = self.output_format or "png"
        return ImageRequest(
            self.prompt,
            model=model,
            width=width,
            height=height,
            n=self.n or 1,
            format=output,
            strategy=DEFAULT_STRATEGY if model else _QUALITIES[self.quality][0],
            labels={"user": self.identifier} if self.identifier else {},
            ignored=tuple(ignored),
            given=("prompt",),
            compression=self.output_compression if output != "png" else None,
        )


class GenerationBody(ImagesBody):
    """POST /v1/images/generations."""

    style: Literal["vivid", "natural"] | None = Field(None, description="Dropped, and named.")

    def to_draft(self, aliases: Mapping[str, str]) -> Draft:
        return Draft(self.to_request(aliases))


class EditFields(ImagesBody):
    """What the two forms of an edit have in common, besides the images."""

    input_fidelity: Literal["high", "low"] | None = Field(None, description="Dropped, and named.")

    def _draft(self, aliases: Mapping[str, str], pictures: list[str], mask: str | None, name: str) -> Draft:
        """`name` is the field of the images. Raises InvalidRequest for a mask on several of them."""
        if len(pictures) > 1 and mask is not None:
            said = f"the models that paint by a mask take one image, and there are {len(pictures)}"
            raise InvalidRequest(said, errors=(FieldError(name, said, "unsupported_value"),))
        request = replace(self.to_request(aliases), task=r.TEXT_TO_IMAGE if mask is None else r.INPAINT)
        return Draft(request, pictures[0], name, more=tuple(pictures[1:]), mask=mask, keeps_shape=True)


Picture = Annotated[str, Field(min_length=1), WithJsonSchema({"type": "string", "format": "binary"})]


class EditForm(EditFields):
    """POST /v1/images/edits as a form; the files are base64 here, after the form was read."""

    FILES: ClassVar[Mapping[str, int]] = {"image": MAX_PICTURES, "mask": 1}

    image: list[Picture] = Field(
        min_length=1,
        max_length=MAX_PICTURES,
        description="PNG, JPEG or WebP, as `image` or `image[]`; as many as the model takes, with a mask one.",
    )
    mask: Picture | None = Field(None, description="A PNG of the image's size; its transparent part is what changes.")

    @field_validator("n", "partial_images", "output_compression", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        """Everything in a form is a text."""
        return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else value

    @field_validator("stream", mode="before")
    @classmethod
    def _switch(cls, value: object) -> object:
        return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value

    def to_draft(self, aliases: Mapping[str, str]) -> Draft:
        return self._draft(aliases, self.image, self.mask, "image")


class PictureReference(Body):
    """An image of a JSON edit."""

    image_url: str | None = Field(None, min_length=1, pattern="^[dD][aA][tT][aA]:", description="A data URL of base64.")
    file_id: str | None = Field(None, pattern=f"^{UPLOAD.pattern}$", description="An `upload_id` of POST /v1/uploads.")

    @field_validator("image_url", mode="before")
    @classmethod
    def _inline(cls, value: object) -> object:
        if isinstance(value, str) and value[:5].lower() != "data:":
            said = "must be a data URL of base64: no address is fetched; POST /v1/uploads takes large images"
            raise PydanticCustomError("unsupported_value", said)
        return value

    @model_validator(mode="after")
    def _there(self) -> PictureReference:
        if (self.image_url is None) == (self.file_id is None):
            raise ValueError("needs an image_url or a file_id, and not both")
        return self

    @property
    def data(self) -> str:
        """As an image is taken anywhere: an upload's id or a data URL."""
        return self.file_id or self.image_url or ""


class EditBody(EditFields):
    """POST /v1/images/edits as JSON."""

    images: list[PictureReference] = Field(
        min_length=1, max_length=MAX_PICTURES, description="As many as the model takes, with a mask one."
    )
    mask: PictureReference | None = Field(
        None, description="A PNG of the image's size; its transparent part is what changes."
    )

    def to_draft(self, aliases: Mapping[str, str]) -> Draft:
        mask = self.mask.data if self.mask else None
        return self._draft(aliases, [image.data for image in self.images], mask, "images")


class ImageData(View):
    """One image; just one of `b64_json` and `url` is there."""

    b64_json: str | None = Field(None, exclude_if=lambda value: value is None)
    url: str | None = Field(
        None, exclude_if=lambda value: value is None, description="Pre-signed; works without a key until it expires."
    )
    revised_prompt: str | None = Field(
        None, exclude_if=lambda value: value is None, description="As sent to the provider, where it was shortened."
    )


class TokenDetails(View):
    image_tokens: int
    text_tokens: int


class Usage(View):
    """Tokens as the providers count them; zeros where they do not."""

    input_tokens: int
    input_tokens_details: TokenDetails
    output_tokens: int
    output_tokens_details: TokenDetails
    total_tokens: int

    @classmethod
    def of(cls, tokens: Tokens) -> Usage:
        taken, made = tokens.text_in + tokens.image_in, tokens.text_out + tokens.image_out
        return cls(
            input_tokens=taken,
            input_tokens_details=TokenDetails(image_tokens=tokens.image_in, text_tokens=tokens.text_in),
            output_tokens=made,
            output_tokens_details=TokenDetails(image_tokens=tokens.image_out, text_tokens=tokens.text_out),
            total_tokens=taken + made,
        )


class ImagesMetadata(Metadata):
    generation_id: str = Field(description="Of the job: GET /unified/jobs/{job_id} tells all of it.")

    @classmethod
    def of(cls, job: Job) -> ImagesMetadata:
        told: dict[str, Any] = Metadata.of(job).model_dump()
        return cls(**told, generation_id=job.id)


class ImagesView(View):
    """Images, as OpenAI's SDKs read them."""

    created: int = Field(description="Unix time in seconds.")
    data: list[ImageData]
    background: Literal["opaque"]
    output_format: Literal["png", "jpeg", "webp"]
    quality: Applied = Field(description="What was applied; `medium` where the request chose nothing.")
    size: str = Field(examples=["1024x1024"])
    usage: Usage
    safety_identifier: str | None = Field(None, exclude_if=lambda value: value is None)
    metadata: ImagesMetadata


class CompletedEvent(View):
    """One image of a stream."""

    type: Literal["image_generation.completed", "image_edit.completed"]
    b64_json: str
    created_at: int
    background: Literal["opaque"]
    output_format: Literal["png", "jpeg", "webp"]
    quality: Applied
    size: str
    usage: Usage
    safety_identifier: str | None = Field(None, exclude_if=lambda value: value is None)
    metadata: ImagesMetadata

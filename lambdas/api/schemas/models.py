"""Models: the list, and the GPU worker's memory of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lambdas.api.schemas.common import Body, Parameter, View
from lambdas.usecases.catalogue.list_models import ModelStatus


class PurgeBody(Body):
    """POST /v1/models/purge."""

    model_id: str | None = Field(None, min_length=1, max_length=200, description="One model; all where it is left out.")


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
    status: ModelStatus
    retires_on: str | None
    shutdown_date: str | None = Field(description="As `retires_on`, by the name that OpenAI's SDK knows.")
    replacement: str | None = Field(description="For a retired model: what to use instead.")
    warnings: list[str] = Field(description="Such as that the model will end soon.")
    price_usd: float | None = Field(description="Of one image at the default size; 0 where a machine is yours.")
    sizes: SizeLimits | list[str] | None = Field(
        description="What the model itself makes; null for any. Every other size is made of the nearest one."
    )
    honours: list[Parameter]
    prompt_max: int | None = Field(description="Characters.")
    typical_seconds: float | None
    licence: str | None


class ModelsView(View):
    object: Literal["list"]
    data: list[ModelView]
    models: list[str] = Field(description="The ids that POST /v1/generate takes.")
    default_model: str


class PurgeView(View):
    """What is left in the GPU worker's memory."""

    model_id: str | None
    removed: list[str]
    remaining: list[str]

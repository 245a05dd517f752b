"""Errors, in the two shapes that clients know."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from lambdas.api.schemas.common import View
from lambdas.api.schemas.receipt import AttemptView


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

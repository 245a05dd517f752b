"""What clients may ask about webhooks."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lambdas.domain.ids import JOB_ID


class WebhooksQuery(BaseModel):
    """The query of GET /unified/webhooks."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    state: Literal["pending", "delivered", "exhausted", "disabled"] | None = None
    limit: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, pattern=f"^{JOB_ID.pattern}$")

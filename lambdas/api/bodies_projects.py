"""What clients may send about projects."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from lambdas.api.bodies import Body, Visible
from lambdas.domain import ids

MAX_PROJECTS = 1000  # of one answer


class ProjectBody(Body):
    """POST /unified/projects."""

    project_id: str = Field(pattern=f"^{ids.PROJECT.pattern}$", examples=["spring-campaign"])
    name: Annotated[str, Visible] | None = Field(
        None, min_length=1, max_length=200, pattern=r"\S", description="For people."
    )


class ProjectsQuery(BaseModel):
    """The query of GET /unified/projects."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    limit: int = Field(MAX_PROJECTS, ge=1, le=MAX_PROJECTS)
    cursor: str | None = Field(None, pattern=f"^{ids.PROJECT.pattern}$")

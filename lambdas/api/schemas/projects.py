"""Projects: a new one, which to list, and how much is in one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lambdas.api.schemas.common import Body, Query, View, Visible
from lambdas.domain import ids
from lambdas.domain.iso_time import iso
from lambdas.domain.projects import Counts, Project

MAX_PROJECTS = 1000  # of one answer


class ProjectBody(Body):
    """POST /unified/projects."""

    project_id: str = Field(pattern=f"^{ids.PROJECT.pattern}$", examples=["spring-campaign"])
    name: Annotated[str, Visible] | None = Field(
        None, min_length=1, max_length=200, pattern=r"\S", description="For people."
    )


class ProjectsQuery(Query):
    """The query of GET /unified/projects."""

    limit: int = Field(MAX_PROJECTS, ge=1, le=MAX_PROJECTS)
    cursor: str | None = Field(None, pattern=f"^{ids.PROJECT.pattern}$")


class ProjectCounts(View):
    """What the project holds now."""

    jobs: int
    images: int
    exact: bool = Field(description="false: there are more than were counted.")


class ProjectListed(View):
    project_id: str
    name: str
    created_at: str

    @classmethod
    def of(cls, project: Project) -> ProjectListed:
        return cls(project_id=project.id, name=project.name, created_at=iso(project.created_at) or "")


class ProjectView(ProjectListed):
    """A project and how much is in it."""

    counts: ProjectCounts

    @classmethod
    def with_counts(cls, project: Project, counts: Counts) -> ProjectView:
        shown = ProjectCounts(jobs=counts.jobs, images=counts.images, exact=counts.exact)
        return cls(**ProjectListed.of(project).model_dump(), counts=shown)


class ProjectsView(View):
    projects: list[ProjectListed]
    next_cursor: str | None

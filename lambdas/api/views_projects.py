"""What clients get to see of projects."""

from __future__ import annotations

from pydantic import Field

from lambdas.api.views import View, iso
from lambdas.domain.projects import Counts, Project


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

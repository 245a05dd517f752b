"""Make and find projects."""

from __future__ import annotations

from lambdas.domain.errors import NotFound, ProjectExists
from lambdas.domain.ids import PROJECT
from lambdas.domain.projects import DEFAULT, Counts, Project
from lambdas.usecases.deps import Deps


def make_project(tenant: str, project_id: str, name: str | None, deps: Deps) -> Project:
    """Raises ProjectExists."""
    project = Project(tenant, project_id, name or project_id, deps.clock.now())
    if project_id == DEFAULT or not deps.projects.create(project):
        raise ProjectExists(f"there is a project {project_id} already")
    return project


def find_project(tenant: str, project_id: str, deps: Deps) -> tuple[Project, Counts]:
    """The project and what it holds. Raises NotFound."""
    if project_id == DEFAULT:
        deps.projects.ensure(tenant, DEFAULT, deps.clock.now())
    project = deps.projects.get(tenant, project_id) if PROJECT.fullmatch(project_id) else None
    if project is None:
        raise NotFound("no such project")
    return project, deps.projects.counts(tenant, project_id)


def list_projects(tenant: str, limit: int, cursor: str | None, deps: Deps) -> tuple[list[Project], str | None]:
    """Some projects in the order of their ids, and where to go on."""
    deps.projects.ensure(tenant, DEFAULT, deps.clock.now())
    found = deps.projects.list(tenant, limit + 1, cursor)
    return found[:limit], found[limit - 1].id if len(found) > limit else None

"""The routes about projects."""

from __future__ import annotations

from lambdas.api.bodies_projects import ProjectBody, ProjectsQuery
from lambdas.api.call import Call
from lambdas.api.routes import Answer, Route, json_answer
from lambdas.api.views_projects import ProjectListed, ProjectsView, ProjectView
from lambdas.domain.projects import Counts
from lambdas.usecases.projects import find_project, list_projects, make_project


def _list(call: Call) -> Answer:
    query: ProjectsQuery = call.filters
    projects, following = list_projects(call.tenant, query.limit, query.cursor, call.deps)
    return json_answer(ProjectsView(projects=[ProjectListed.of(p) for p in projects], next_cursor=following))


def _make(call: Call) -> Answer:
    body: ProjectBody = call.payload
    project = make_project(call.tenant, body.project_id, body.name, call.deps)
    headers = {"Location": f"{call.stage}/unified/projects/{project.id}"}
    return json_answer(ProjectView.with_counts(project, Counts(0, 0)), 201, headers)


def _get(call: Call) -> Answer:
    project, counts = find_project(call.tenant, call.params["project_id"], call.deps)
    return json_answer(ProjectView.with_counts(project, counts))


ROUTES = (
    Route(
        "GET",
        "/unified/projects",
        "Projects, in the order of their ids",
        _list,
        {200: ProjectsView},
        query=ProjectsQuery,
        errors=(400, 500),
        tag="projects",
    ),
    Route(
        "POST",
        "/unified/projects",
        "Make a project",
        _make,
        {201: ProjectView},
        body=ProjectBody,
        errors=(400, 409, 413, 415, 500),
        tag="projects",
    ),
    Route(
        "GET",
        "/unified/projects/{project_id}",
        "A project and how much is in it",
        _get,
        {200: ProjectView},
        errors=(404, 500),
        tag="projects",
    ),
)

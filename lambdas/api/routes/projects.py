"""The routes about projects."""

from __future__ import annotations

from lambdas.api.answer import Answer, json_answer
from lambdas.api.call import Call
from lambdas.api.route import BodyRoute, PlainRoute, QueryRoute, Route
from lambdas.api.schemas.projects import ProjectBody, ProjectListed, ProjectsQuery, ProjectsView, ProjectView
from lambdas.domain.projects import Counts
from lambdas.usecases.projects import find_project, list_projects, make_project


def _list(call: Call, query: ProjectsQuery) -> Answer:
    projects, following = list_projects(call.tenant, query.limit, query.cursor, call.deps)
    return json_answer(ProjectsView(projects=[ProjectListed.of(p) for p in projects], next_cursor=following))


def _make(call: Call, body: ProjectBody) -> Answer:
    project = make_project(call.tenant, body.project_id, body.name, call.deps)
    headers = {"Location": f"{call.stage}/unified/projects/{project.id}"}
    return json_answer(ProjectView.with_counts(project, Counts(0, 0)), 201, headers)


def _get(call: Call) -> Answer:
    project, counts = find_project(call.tenant, call.params["project_id"], call.deps)
    return json_answer(ProjectView.with_counts(project, counts))


ROUTES: tuple[Route, ...] = (
    QueryRoute(
        method="GET",
        path="/unified/projects",
        summary="Projects, in the order of their ids",
        handle=_list,
        answers={200: ProjectsView},
        query=ProjectsQuery,
        errors=(400, 500),
        tag="projects",
    ),
    BodyRoute(
        method="POST",
        path="/unified/projects",
        summary="Make a project",
        handle=_make,
        answers={201: ProjectView},
        body=ProjectBody,
        errors=(400, 409, 413, 415, 500),
        tag="projects",
    ),
    PlainRoute(
        method="GET",
        path="/unified/projects/{project_id}",
        summary="A project and how much is in it",
        handle=_get,
        answers={200: ProjectView},
        errors=(404, 500),
        tag="projects",
    ),
)

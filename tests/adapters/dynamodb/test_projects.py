"""Projects in DynamoDB: created once, listed in pages, with exact counts."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.adapters import aws
from lambdas.adapters.dynamodb import projects as dynamodb_projects
from lambdas.adapters.dynamodb.jobs import DynamoJobs
from lambdas.adapters.dynamodb.projects import DynamoProjects
from lambdas.domain.projects import Counts, Project
from tests.adapters.dynamodb.test_images import finished

NOW = 1_790_000_000.0
pytestmark = pytest.mark.usefixtures("cloud")


@pytest.fixture
def projects() -> DynamoProjects:
    return DynamoProjects("projects", "jobs", "images")


@pytest.fixture
def calls() -> list[str]:
    made: list[str] = []
    aws.client("dynamodb").meta.events.register("before-call.dynamodb.*", lambda model, **_: made.append(model.name))
    return made


def test_a_project_is_made_once_and_belongs_to_its_tenant(projects: DynamoProjects) -> None:
    spring = Project("acme", "spring", "Spring 🌷", NOW)
    assert projects.create(spring)
    assert not projects.create(Project("acme", "spring", "other", NOW + 1))
    assert projects.get("acme", "spring") == spring
    assert projects.get("umbrella", "spring") is None
    assert projects.create(Project("umbrella", "spring", "theirs", NOW))
    assert projects.list("acme", 10, None) == [spring]


def test_naming_one_makes_it_and_the_next_time_costs_nothing(projects: DynamoProjects, calls: list[str]) -> None:
    for _ in range(3):
        projects.ensure("acme", "new", NOW)
    assert calls == ["UpdateItem"]
    assert projects.get("acme", "new") == Project("acme", "new", "new", NOW)
    assert not projects.create(Project("acme", "new", "late", NOW + 9))


def test_naming_one_that_is_there_changes_nothing(projects: DynamoProjects) -> None:
    spring = Project("acme", "spring", "Spring", NOW)
    projects.create(spring)
    projects.ensure("acme", "spring", NOW + 50)
    DynamoProjects("projects", "jobs", "images").ensure("acme", "spring", NOW + 60)
    assert projects.get("acme", "spring") == spring


def test_what_a_process_remembers_is_bounded(projects: DynamoProjects, monkeypatch: Any, calls: list[str]) -> None:
    monkeypatch.setattr(dynamodb_projects, "KNOWN", 3)
    for name in "abcda":
        projects.ensure("acme", name, NOW)
    assert len(calls) == 5
    assert len(projects._known) == 3


def test_a_list_goes_on_where_the_last_one_ended(projects: DynamoProjects) -> None:
    for name in ("c", "a", "B", "d"):
        projects.ensure("acme", name, NOW)
    assert [p.id for p in projects.list("acme", 2, None)] == ["B", "a"]
    assert [p.id for p in projects.list("acme", 2, "a")] == ["c", "d"]
    assert projects.list("acme", 2, "d") == []


def test_counts_are_of_one_project_of_one_tenant(projects: DynamoProjects) -> None:
    jobs = DynamoJobs("jobs", "images")
    finished(jobs, n=2, project="spring")
    finished(jobs, n=3, project="spring")
    finished(jobs, n=1)
    finished(jobs, n=4, tenant="umbrella", project="spring")
    assert projects.counts("acme", "spring") == Counts(2, 5)
    assert projects.counts("acme", "default") == Counts(1, 1)
    assert projects.counts("acme", "none") == Counts(0, 0)


def test_a_count_reads_so_far_and_says_where_it_stopped(projects: DynamoProjects, monkeypatch: Any) -> None:
    db = aws.client("dynamodb")

    class Paged:
        """Answers with one entry at a time, as the real one does with a megabyte."""

        @staticmethod
        def query(**arguments: Any) -> Any:
            return db.query(**arguments, Limit=1)

    for _ in range(3):
        finished(DynamoJobs("jobs", "images"), n=1)
    with monkeypatch.context() as m:
        m.setattr(aws, "client", lambda _: Paged)
        assert projects.counts("acme", "default") == Counts(3, 3)
        m.setattr(dynamodb_projects, "MAX_PAGES", 2)
        assert projects.counts("acme", "default") == Counts(2, 2, exact=False)

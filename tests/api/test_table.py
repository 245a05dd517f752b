"""The table of paths agrees with the groups, and each path leads to one route."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lambdas.api import table
from lambdas.api.answer import Answer
from lambdas.api.route import PlainRoute
from tests.api.client import Client

ROOT = Path(__file__).parents[2]
LISTED = [line.split(" ") for lines in table.GROUPS.values() for line in lines]


def test_every_group_has_the_routes_that_are_listed() -> None:
    assert [[route.method, route.path] for route in table.every_route()] == LISTED


def test_every_module_of_routes_is_a_group() -> None:
    modules = {path.stem for path in (ROOT / "lambdas" / "api" / "routes").glob("[!_]*.py")}
    assert modules == set(table.GROUPS)


def test_a_group_that_differs_from_its_list_is_not_served(monkeypatch: pytest.MonkeyPatch) -> None:
    from lambdas.api.routes import providers

    table.routes.cache_clear()
    extra = PlainRoute(method="GET", path="/more", summary="", handle=lambda _call: Answer(200), answers={})
    monkeypatch.setattr(providers, "ROUTES", (*providers.ROUTES, extra))
    with pytest.raises(LookupError, match="GET /more"):
        table.routes("providers")


@pytest.mark.parametrize(("method", "path"), LISTED)
def test_each_path_leads_to_its_own_route(method: str, path: str) -> None:
    sent = path.replace("{", "").replace("}", "")
    row, params = table.find(method, sent)  # type: ignore[misc]
    route = table.routes(row.group)[row.number]
    assert [route.method, route.path] == [method, path]
    assert params == {name: name for name in params}
    assert method in table.methods(sent)


def test_no_two_routes_fit_one_path() -> None:
    shapes = [(row.method, tuple(part if part[:1] != "{" else "{}" for part in row.parts)) for row in table.ROWS]
    assert len(set(shapes)) == len(shapes)


def test_an_exact_path_goes_before_a_parameter() -> None:
    assert table.find("POST", "/v1/models/purge") is not None
    assert table.methods("/v1/models/purge") == ["GET", "POST"]  # GET: a model of that name
    assert table.methods("/unified/jobs") == ["GET"]


@pytest.mark.parametrize("path", ["/unified/jobs//images/x", "/files/", "/files", "/files/a/b", "", "/", "jobs"])
def test_a_parameter_is_one_part_and_not_empty(path: str) -> None:
    assert table.methods(path) == []


@pytest.mark.parametrize("path", ['/unified/jobs/a"b', "/unified/jobs/a b", "/files/a%23b.png", "/unified/jobs/ä|^"])
def test_any_character_may_stand_in_a_parameter(path: str) -> None:
    assert Client()("GET", path).status == 404


def test_a_start_imports_no_group_of_routes() -> None:
    """So that more routes make no start slower."""
    code = (
        "import sys, lambdas.handlers.api; heavy = ('pydantic', 'lambdas.api.routes', 'lambdas.api.schemas', "
        "'lambdas.usecases.jobs', 'aws_lambda_powertools.event_handler'); "
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"

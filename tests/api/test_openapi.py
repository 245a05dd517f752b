"""The OpenAPI document is complete and says what the routes do."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import jsonschema_rs
import pytest

from lambdas import USER_AGENT, VERSION
from lambdas.api.openapi import document
from lambdas.api.route import BodyRoute
from lambdas.api.table import every_route
from tests.api.client import Client


@pytest.fixture(scope="module")
def spec() -> dict:  # type: ignore[type-arg]
    return document()


def test_every_route_with_its_answers_and_errors_is_there(spec: dict) -> None:  # type: ignore[type-arg]
    assert spec["openapi"].startswith("3.1")
    for route in every_route():
        operation = spec["paths"][route.path][route.method.lower()]
        stated = {int(status) for status in operation["responses"]}
        assert stated >= set(route.answers) | set(route.errors)
        assert (operation.get("security") == []) == route.open
        assert ("requestBody" in operation) == isinstance(route, BodyRoute)


def test_every_reference_points_at_something(spec: dict) -> None:  # type: ignore[type-arg]
    def walk(node: object) -> None:
        if isinstance(node, dict):
            if isinstance(ref := node.get("$ref"), str):
                target: object = spec
                for part in ref.removeprefix("#/").split("/"):
                    target = target[part]  # type: ignore[index]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(spec)


def test_bodies_are_closed(spec: dict) -> None:  # type: ignore[type-arg]
    for name in ("GenerateBody", "GenerateImageBody", "ModelGenerateBody", "Painting"):
        assert spec["components"]["schemas"][name]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("method", "path", "url", "body"),
    [
        ("post", "/generate", "/generate", {"prompt": "x"}),
        ("post", "/generate-image", "/generate-image", {"prompt": "x"}),
        ("post", "/v1/generate", "/v1/generate", {"prompt": "x"}),
        ("get", "/v1/models", "/v1/models", None),
        ("get", "/v1/models/{model_id}", "/v1/models/runware:101@1", None),
        ("get", "/v1/models/{model_id}", "/v1/models/amazon.nova-canvas-v1:0", None),
        ("get", "/v1/models/{model_id}", "/v1/models/nobody", None),
        ("get", "/v1/models/{owner}/{model_id}", "/v1/models/stabilityai/sdxl-turbo", None),
        ("get", "/unified/jobs", "/unified/jobs", None),
        ("get", "/health", "/health", None),
        ("get", "/v1/jobs/{job_id}", "/v1/jobs/1", None),
        ("get", "/unified/jobs/{job_id}", "/unified/jobs/1", None),
    ],
)
def test_answers_are_of_the_stated_schema(spec: dict, method: str, path: str, url: str, body: object) -> None:  # type: ignore[type-arg]
    client = Client()
    client("POST", "/generate", {"prompt": "x"})
    answer = client(method.upper(), url, body)
    response = spec["paths"][path][method]["responses"][str(answer.status)]
    [schema] = [content["schema"] for content in response["content"].values()]
    jsonschema_rs.validator_for({**schema, "components": spec["components"]}).validate(answer.json())


def test_it_is_served_and_the_page_needs_no_internet() -> None:
    client = Client()
    assert json.loads(client("GET", "/openapi.json").body) == document()
    page = client("GET", "/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert b"SwaggerUIBundle(" in page.body
    assert b"<script src=" not in page.body
    assert b"<link" not in page.body
    assert len(page.body) < 4_500_000


def test_the_page_says_what_it_may_run_and_that_nobody_may_frame_it() -> None:
    page = Client()("GET", "/docs")
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    policy = dict(rule.strip().split(" ", 1) for rule in page.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    scripts = re.findall(rb"<script>(.*?)</script>", page.body, re.DOTALL)
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'" for text in scripts]
    assert policy["script-src"].split() == hashes
    assert len(hashes) == 2


def test_there_is_one_version() -> None:
    """It also stands in the User-Agent of every call out."""
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert f'version = "{VERSION}"' in pyproject
    assert f"image-api/{VERSION}" == USER_AGENT
    assert document()["info"]["version"] == VERSION

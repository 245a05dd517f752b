"""The smoke test of a deployment against a double: every step that can fail, and its message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from infra.deploy import smoke
from tests.doubles.service import FakeService, Reply, Request, json_reply

KEY = "key-of-acme"
JOB = {"generation_id": "g1", "provider": "demo", "metadata": {"provider_model": "demo/scenes-1", "cost_usd": 0.0}}
GOOD = [
    "health  ok",
    "models  2, by default a",
    "image   by demo, demo/scenes-1, 0.0 USD",
    "file    9 bytes of PNG",
]


class FakeDeployment(FakeService):
    """Answers as the service does, or as `changed` says for a path; a job is queued for one question."""

    def __init__(self) -> None:
        super().__init__()
        self.changed: dict[str, Reply] = {}
        self.seen: list[tuple[str, str, str | None]] = []

    def route(self, request: Request) -> Reply:
        self.seen.append((request.method, request.path, request.headers.get("X-API-Key")))
        return self.changed.get(request.path) or self.good(request.path)

    def good(self, path: str) -> Reply:
        image = {"images": [{"url": f"{self.url}/image.png?signature=s"}]}
        return {
            "/health": json_reply(200, {"status": "ok"}),
            "/v1/models": json_reply(200, {"models": ["a", "b"], "default_model": "a"}),
            "/unified/generate": json_reply(202, {"generation_id": "g1", "status": "queued"}),
            "/unified/jobs/g1": json_reply(200, {**JOB, **image, "status": "completed"}),
            "/image.png": Reply(200, smoke.PNG + b"x", {"Content-Type": "image/png"}),
        }[path]


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDeployment]:
    monkeypatch.setattr(smoke, "POLL_SECONDS", 0.0)
    with FakeDeployment() as fake:
        yield fake


def test_a_deployment_that_works(deployment: FakeDeployment, capsys: Any) -> None:
    assert smoke.main([f"{deployment.url}/", KEY]) == 0
    assert capsys.readouterr().out.splitlines() == GOOD
    assert deployment.seen == [
        ("GET", "/health", KEY),
        ("GET", "/v1/models", KEY),
        ("POST", "/unified/generate", KEY),
        ("GET", "/unified/jobs/g1", KEY),
        ("GET", "/image.png", None),
    ]


@pytest.mark.parametrize(
    ("path", "reply", "said"),
    [
        ("/health", Reply(502, b"<html>", {}), "GET /health answered 502: no JSON object"),
        ("/health", json_reply(200, []), "GET /health answered 200: no JSON object"),
        ("/v1/models", json_reply(401, {"detail": "No key."}), "GET /v1/models answered 401: No key."),
        ("/v1/models", json_reply(403, {"message": "Forbidden"}), "GET /v1/models answered 403: Forbidden"),
        ("/v1/models", json_reply(200, {"models": []}), "GET /v1/models lists no model that could be used"),
        ("/unified/generate", json_reply(503, {"detail": "None."}), "POST /unified/generate answered 503: None."),
        (
            "/unified/jobs/g1",
            json_reply(200, {"generation_id": "g1", "status": "failed", "images": []}),
            "the image was not made: job g1 is failed",
        ),
        (
            "/v1/models",
            json_reply(200, {"models": ["a"]}),
            "an answer has not the form of this service's (KeyError: 'default_model')",
        ),
        ("/image.png", Reply(403, b"<Error/>", {}), "the image's pre-signed URL answered 403, and no PNG"),
        ("/image.png", Reply(200, b"<html>", {}), "the image's pre-signed URL answered 200, and no PNG"),
    ],
)
def test_the_first_step_that_fails_is_named(
    path: str, reply: Reply, said: str, deployment: FakeDeployment, capsys: Any
) -> None:
    deployment.changed[path] = reply
    assert smoke.main([deployment.url]) == 1
    assert capsys.readouterr().out == f"FAILED  {said}\n"


def test_a_job_without_an_end(deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "JOB_SECONDS", 0.0)
    with pytest.raises(smoke.SmokeError, match="job g1 is queued"):
        smoke.check(deployment.url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "no address", "http://"])
def test_nobody_there(url: str, capsys: Any) -> None:
    assert smoke.main([url]) == 1
    assert capsys.readouterr().out.startswith(f"FAILED  GET {url.rstrip('/')}/health got no answer (")

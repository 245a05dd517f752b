"""The API's answers under overload."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.api.openapi import document
from lambdas.api.table import every_route
from tests.api.client import Client
from tests.support.fakes import FakeBacklog, FakeProvider, FakeProviders, Fakes, FakeSlots

ASYNC = {"Prefer": "respond-async"}
QUEUEING = [
    ("/generate", {"prompt": "x"}),
    ("/v1/generate", {"prompt": "x"}),
    ("/unified/generate", {"prompt": "x"}),
]


def overloaded() -> Client:
    backlog = FakeBacklog(100_000, {"acme": 5000})
    providers = FakeProviders(bedrock=FakeProvider())
    return Client(Fakes(backlog=backlog, providers=providers, max_queue_seconds=900.0, worker_concurrency=5))


@pytest.mark.parametrize(("path", "body"), QUEUEING)
def test_a_refusal_says_when_to_come_again(path: str, body: Any) -> None:
    answer = overloaded()("POST", path, body, ASYNC)
    assert answer.status == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert (told["code"], told["status"], told["title"]) == ("overloaded", 503, "Too much work is waiting")
    assert told["type"] == "urn:image-api:error:overloaded"
    assert int(answer.headers["Retry-After"]) == 904
    assert "904 s" in told["detail"]


@pytest.mark.parametrize(("path", "body"), QUEUEING)
def test_whoever_waits_is_answered(path: str, body: Any) -> None:
    assert overloaded()("POST", path, body).status == 200


def test_every_route_that_queues_documents_the_refusal() -> None:
    paths = document()["paths"]
    queueing = [route for route in every_route() if "Prefer" in route.headers]
    assert {route.path for route in queueing} >= {path for path, _ in QUEUEING}
    for route in queueing:
        refusal = paths[route.path]["post"]["responses"]["503"]
        assert "Retry-After" in refusal["headers"]
        openai = route.path.startswith("/v1/images/")
        kind, shape = ("application/json", "OpenAIError") if openai else ("application/problem+json", "Problem")
        assert refusal["content"][kind]["schema"]["$ref"] == f"#/components/schemas/{shape}"


def test_a_batch_tells_its_refused_items() -> None:
    client = overloaded()
    batch = client("POST", "/unified/generate/batch", {"requests": [{"prompt": "x"}, {"prompt": ""}]})
    assert batch.status == 202
    jobs = client("GET", f"/unified/batches/{batch.json()['batch_id']}").json()["jobs"]
    assert [job["error"]["code"] for job in jobs] == ["overloaded", "invalid_request"]


def test_a_client_without_room_gets_a_job_that_goes_on() -> None:
    slots = FakeSlots(bedrock=1)
    client = Client(Fakes(slots=slots, providers=FakeProviders(bedrock=FakeProvider())))
    assert slots.acquire("bedrock", "c", "others", 0, 2e9)
    answer = client("POST", "/unified/generate", {"prompt": "x"})
    assert (answer.status, answer.json()["status"]) == (202, "queued")
    job = client("GET", answer.headers["Location"].removeprefix("/prod")).json()
    assert (job["status"], job["started_at"], job["metadata"]["attempts"]) == ("queued", None, [])
    assert client("DELETE", f"/unified/jobs/{job['generation_id']}").json()["status"] == "cancelled"

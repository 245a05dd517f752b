"""Rate limit and budget over the API: headers on admitted requests, 429 with Retry-After on others."""

from __future__ import annotations

import re
import uuid

import pytest

from lambdas.api import limits
from lambdas.api.table import every_route
from lambdas.domain.limits.budget import Caps
from tests.api.client import Answer, Client
from tests.support.fakes import FakeLimits, FakeProvider, FakeProviders, Fakes


def told(answer: Answer) -> tuple[int, ...]:
    return tuple(int(answer.headers[name]) for name in limits.NAMES)


def limited(per_minute: int) -> Client:
    return Client(deps=Fakes(limits=FakeLimits(per_minute)))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generate", {"prompt": "x"}),
        ("/generate-image", {"prompt": "x"}),
        ("/v1/generate", {"prompt": "x"}),
        ("/unified/generate", {"prompt": "x"}),
        ("/unified/generate/quick", {"prompt": "x"}),
        ("/unified/generate/batch", {"requests": [{"prompt": "x"}]}),
    ],
)
def test_every_generating_answer_tells_what_is_left(path: str, body: object) -> None:
    ask = limited(3)
    assert told(ask("POST", path, body)) == (3, 2, 20)
    assert told(ask("POST", path, body)) == (3, 1, 40)
    ask("POST", path, body)
    refused = ask("POST", path, body)
    assert refused.status == 429
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "rate_limited"
    assert refused.headers["Retry-After"] == "20"
    assert told(refused) == (3, 0, 60)
    assert ask.deps.meter.rate_hits == 1
    ask.deps.clock.sleep(20)
    assert ask("POST", path, body).status < 300


def test_the_routes_above_are_all_that_generate() -> None:
    generating = {route.path for route in every_route() if route.generates}
    assert generating >= {
        "/generate",
        "/generate-image",
        "/v1/generate",
        "/unified/generate",
        "/unified/generate/quick",
    }
    assert all(route.method == "POST" for route in every_route() if route.generates)
    going_on = {route.path for route in every_route() if 202 in route.answers}
    assert going_on - {"/unified/webhooks/{job_id}/replay"} <= generating


def test_a_batch_counts_as_its_items() -> None:
    ask = limited(5)
    batch = {"requests": [{"prompt": "x"}] * 3}
    assert told(ask("POST", "/unified/generate/batch", batch))[:2] == (5, 2)
    refused = ask("POST", "/unified/generate/batch", batch)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "12")
    assert len(ask.deps.jobs.rows) == 3
    too_many = ask("POST", "/unified/generate/batch", {"requests": [{"prompt": "x"}] * 6})
    assert too_many.status == 429
    assert "send fewer" in too_many.json()["detail"]


def test_an_error_after_admission_tells_it_too() -> None:
    ask = limited(3)
    unknown = ask("POST", "/unified/generate", {"prompt": "x", "model": "no such model"})
    assert (unknown.status, told(unknown)) == (400, (3, 2, 20))


COUNTED = {
    ("POST", "/unified/validate-prompt"): {"prompt": "x"},
    ("GET", "/unified/prompt-validator/health"): None,
    ("POST", "/unified/projects"): {"project_id": "spring", "name": "Spring"},
    ("POST", "/unified/webhooks/0/replay"): None,
    ("POST", "/v1/models/purge"): {},
    ("POST", "/v1/uploads"): {"content_type": "image/png", "size": 9},
}


@pytest.mark.parametrize(("method", "path"), COUNTED)
def test_what_writes_or_costs_counts_too(method: str, path: str) -> None:
    ask = Client(Fakes(limits=FakeLimits(1)), identity={"auth": "ok", "tenant": "acme"})
    first = ask(method, path, COUNTED[method, path])
    assert (first.status != 429, told(first)) == (True, (1, 0, 60))
    refused = ask(method, path, COUNTED[method, path])
    assert (refused.status, refused.json()["code"]) == (429, "rate_limited")


def test_every_route_with_a_key_that_does_more_than_read_is_above() -> None:
    counted = {(route.method, route.path) for route in every_route() if route.counts and not route.generates}
    shapes = {(method, path.replace("/0", "/{}")) for method, path in COUNTED}
    assert {(method, re.sub(r"{\w+}", "{}", path)) for method, path in counted} == shapes


def test_other_requests_are_not_counted() -> None:
    ask = limited(1)
    for _ in range(3):
        for method, path, status in (("GET", "/unified/jobs", 200), ("DELETE", f"/unified/jobs/{uuid.uuid4()}", 404)):
            answer = ask(method, path)
            assert (answer.status, "RateLimit-Limit" in answer.headers) == (status, False)
    assert ask("POST", "/generate", {"prompt": ""}).status == 400
    assert ask("POST", "/generate", {"prompt": "x"}).status == 200


def test_without_a_limit_there_are_no_such_headers() -> None:
    answer = Client()("POST", "/generate", {"prompt": "x"})
    assert not set(limits.NAMES) & set(answer.headers)


@pytest.mark.parametrize(("caps", "limit"), [(Caps.of(0.04, 0), 4), (Caps(images=1), 1)])
def test_a_month_that_is_used_up(caps: Caps, limit: int) -> None:
    deps = Fakes(providers=FakeProviders(bedrock=FakeProvider()), caps=caps, limits=FakeLimits(60))
    ask = Client(deps=deps)
    body = {"prompt": "x", "fallback": False}
    admitted = ask("POST", "/unified/generate", body)
    assert (admitted.status, told(admitted)[0]) == (200, 60)
    refused = ask("POST", "/unified/generate", body)
    assert (refused.status, refused.json()["code"]) == (429, "budget_exceeded")
    wait = int(refused.headers["Retry-After"])
    assert 0 < wait <= 31 * 86_400
    assert told(refused) == (limit, 0, wait)
    assert "month's budget" in refused.json()["detail"]
    deps.clock.sleep(wait)
    assert ask("POST", "/unified/generate", body).status == 200


@pytest.mark.parametrize("path", ["/generate", "/unified/generate/batch"])
def test_a_used_key_answers_again_also_where_the_rate_is_used_up(path: str) -> None:
    ask = limited(1)
    body = {"prompt": "x"} if path == "/generate" else {"requests": [{"prompt": "x"}]}
    first = ask("POST", path, body, {"Idempotency-Key": "once"})
    again = ask("POST", path, body, {"Idempotency-Key": "once"})
    assert (again.status, again.headers["Idempotency-Replayed"]) == (first.status, "true")
    assert told(again)[1] == 0
    assert ask("POST", path, body, {"Idempotency-Key": "new"}).status == 429
    other = {"prompt": "y"} if path == "/generate" else {"requests": [{"prompt": "y"}]}
    assert ask("POST", path, other, {"Idempotency-Key": "once"}).status == 429

"""Contract 5.13 and 5.14: what a request would come to, and the month's budget."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from lambdas.domain.limits.budget import Caps
from lambdas.domain.routing.health import Health
from tests.api.client import Client
from tests.support.fake_events import FakeUrls
from tests.support.fakes import FakeHealth, FakeLimits, FakeProvider, FakeProviders, Fakes

PICTURE = base64.b64encode(b"64x64:a picture to the fakes").decode()
CORE = "stability.stable-image-core-v1:1"


def client_of(*providers: str, **ports: Any) -> Client:
    given = {name: FakeProvider() for name in providers or ("demo",)}
    return Client(Fakes(providers=FakeProviders(**given), **ports))


def test_5_13_a_plan_has_the_shape_of_the_contract() -> None:
    client = client_of("bedrock", "gemini")
    asked = {"prompt": "a fox", "n": 3, "model": CORE, "steps": 20, "width": 768, "height": 512}
    answer = client("POST", "/unified/plan", asked)
    assert answer.status == 200
    plan = answer.json()
    assert list(plan) == ["candidates", "refused", "estimated_cost_usd"]
    first, *others = plan["candidates"]
    assert list(first) == [
        "provider",
        "model",
        "cost_usd",
        "typical_seconds",
        "size",
        "dropped_params",
        "warnings",
    ]
    assert (first["provider"], first["model"], first["cost_usd"]) == ("bedrock", CORE, 0.04)
    assert first["size"] == {"width": 768, "height": 512}
    assert [dropped["name"] for dropped in first["dropped_params"]] == ["steps"]
    assert "gemini" in [other["provider"] for other in others]
    assert plan["estimated_cost_usd"] == pytest.approx(0.12)


def test_5_13_the_order_is_that_of_a_generation() -> None:
    client = client_of("bedrock", "gemini", "runware_ai")
    for strategy in ("cheapest", "fastest", "quality"):
        asked = {"prompt": "a fox", "strategy": strategy}
        plan = client("POST", "/unified/plan", asked).json()
        made = client("POST", "/unified/generate", asked, {"Prefer": "respond-async"}).json()
        job = client.deps.jobs.get("acme", made["generation_id"])
        assert job
        assert tuple(candidate["model"] for candidate in plan["candidates"]) == job.plan


def test_5_13_a_plan_spends_and_writes_nothing() -> None:
    client = client_of("bedrock", limits=FakeLimits(per_minute=1), caps=Caps(microusd=10))
    asked = {"prompt": "a fox", "project_id": "new", "reference_image": PICTURE, "metadata": {"a": "b"}}
    for _ in range(3):
        answer = client("POST", "/unified/plan", asked)
        assert answer.status == 200, answer.body
        assert "RateLimit-Limit" not in answer.headers
    deps = client.deps
    assert not deps.jobs.rows
    assert not deps.projects.rows
    assert not deps.blobs.objects
    assert not deps.queue.sent


def test_5_13_what_cannot_be_asked_is_named_with_its_reason() -> None:
    health = FakeHealth(gemini=Health(cooldown_until=1_790_000_000.0 + 60, failures=5))
    allowed = (CORE, "gemini-nano-banana-2.1")
    client = client_of("bedrock", "gemini", "runware_ai", health=health, allowed_models=allowed)
    refused = {row["model"]: row for row in client("POST", "/unified/plan", {"prompt": "x"}).json()["refused"]}
    assert refused["gemini-nano-banana-2.1"]["reason"] == "it is resting after failures"
    assert refused["runware:101@1"] == {
        "provider": "runware_ai",
        "model": "runware:101@1",
        "reason": "it is not allowed here",
    }
    assert CORE not in refused


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"prompt": ""}, 400, "prompt"),
        ({"prompt": "x", "colour": "red"}, 400, "colour"),
        ({"prompt": "x", "model": "none"}, 400, "model"),
        ({"prompt": "x", "provider": "gemini"}, 400, "provider"),
        ({"prompt": "x", "reference_image": base64.b64encode(b"GIF89a").decode()}, 415, "reference_image"),
        ({"prompt": "x", "webhook_url": "http://127.0.0.1/"}, 400, "webhook_url"),
    ],
)
def test_5_13_what_a_generation_refuses_a_plan_refuses(body: dict[str, Any], status: int, field: str | None) -> None:
    client = client_of("bedrock", webhook_urls=FakeUrls("http://127."))
    planned, made = (client("POST", f"/unified/{verb}", body) for verb in ("plan", "generate"))
    assert (planned.status, planned.json()["code"]) == (made.status, made.json()["code"])
    assert planned.status == status
    if field:
        assert [error["field"] for error in planned.json()["errors"]] == [field]


def test_5_13_an_equal_earlier_request_costs_nothing() -> None:
    client = client_of("bedrock")
    asked = {"prompt": "a fox", "seed": 7, "cache": "auto"}
    assert client("POST", "/unified/plan", asked).json()["estimated_cost_usd"] == 0.04
    made = client("POST", "/unified/generate", asked).json()
    assert made["metadata"]["cost_usd"] == 0.04
    assert client("POST", "/unified/plan", asked).json()["estimated_cost_usd"] == 0.0


def test_5_14_the_month_of_a_tenant() -> None:
    client = client_of("bedrock", caps=Caps(microusd=1_000_000, images=20))
    client("POST", "/unified/generate", {"prompt": "a fox", "n": 2, "fallback": False})
    client("POST", "/unified/generate", {"prompt": "a fox", "fallback": False}, {"Prefer": "respond-async"})
    assert client("GET", "/unified/budget").json() == {
        "month": "2026-09",
        "limit_usd": 1.0,
        "spent_usd": 0.08,
        "reserved_usd": 0.04,
        "remaining_usd": 0.88,
        "limit_images": 20,
        "images": 2,
    }
    client.identity = {"tenant": "umbrella", "auth": "ok"}
    assert client("GET", "/unified/budget").json()["remaining_usd"] == 1.0


def test_5_14_without_limits_they_are_null() -> None:
    client = client_of()
    assert client("GET", "/unified/budget").json() == {
        "month": "2026-09",
        "limit_usd": None,
        "spent_usd": 0.0,
        "reserved_usd": 0.0,
        "remaining_usd": None,
        "limit_images": None,
        "images": 0,
    }

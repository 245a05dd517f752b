"""Contract 5.9: GET /unified/providers, what each provider offers and its status."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from lambdas.api.openapi import document
from lambdas.domain import catalogue
from lambdas.domain.failures import Failure
from lambdas.domain.routing.health import TRIP_AFTER, NoFailure
from tests.api.client import Client
from tests.support.fakes import FakeClock, FakeHealth, FakeProvider, FakeProviders, Fakes

CORE = catalogue.cards_of("bedrock")[0]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def health() -> FakeHealth:
    return FakeHealth()


@pytest.fixture
def client(clock: FakeClock, health: FakeHealth) -> Client:
    providers = FakeProviders(bedrock=FakeProvider(), gemini=FakeProvider())
    return Client(Fakes(providers=providers, health=health, clock=clock))


def row(client: Client, provider: str) -> dict[str, Any]:
    answer = client("GET", "/unified/providers")
    assert answer.status == 200
    found: dict[str, Any]
    [found] = [p for p in answer.json()["providers"] if p["id"] == provider]
    return found


def test_every_provider_of_the_contract_is_there(client: Client) -> None:
    rows = client("GET", "/unified/providers").json()["providers"]
    ids = [r["id"] for r in rows]
    assert ids == ["bedrock", "sagemaker", "leonardo_ai", "runware_ai", "gemini", "comfyui"]
    assert {r["id"] for r in rows if r["configured"]} == {"bedrock", "gemini"}
    assert {r["id"] for r in rows if r["status"] == "unconfigured"} == set(ids) - {"bedrock", "gemini"}


def test_the_demo_is_there_only_where_it_answers() -> None:
    assert row(Client(), "demo")["status"] == "available"


def test_a_provider_before_it_was_called(client: Client) -> None:
    found = row(client, "bedrock")
    assert found["status"] == "available"
    assert found["models"][0] == CORE.id
    assert found["price_per_image"] == CORE.price_usd == found["prices"][CORE.id]
    assert found["limits"]["prompt_characters"] == CORE.prompt_max
    assert (found["success_rate"], found["latency_p50"], found["latency_p95"]) == (None, None, None)


def test_the_change_of_state_is_shown(client: Client, health: FakeHealth, clock: FakeClock) -> None:
    for seconds in (4.0, 5.0, 9.0):
        health.observe("bedrock", CORE.id, NoFailure.SUCCESS, seconds, 0.04, clock.now())
    found = row(client, "bedrock")
    assert (found["status"], found["success_rate"]) == ("available", 1.0)
    assert (found["latency_p50"], found["latency_p95"]) == (5.0, 9.0)

    for _ in range(TRIP_AFTER - 1):
        health.observe("bedrock", CORE.id, Failure.UNAVAILABLE, 0.1, 0.0, clock.now())
    assert row(client, "bedrock")["status"] == "degraded"
    health.observe("bedrock", CORE.id, Failure.UNAVAILABLE, 0.1, 0.0, clock.now())
    found = row(client, "bedrock")
    assert (found["status"], found["success_rate"]) == ("cooling_down", 0.4286)
    assert found["cooldown_until"] == "2026-09-21T14:13:35.000Z"
    assert row(client, "gemini")["status"] == "available"

    clock.sleep(15)
    found = row(client, "bedrock")
    assert (found["status"], found["cooldown_until"]) == ("degraded", None)
    health.observe("bedrock", CORE.id, NoFailure.SUCCESS, 4.0, 0.04, clock.now())
    for _ in range(20):
        health.observe("bedrock", CORE.id, NoFailure.SUCCESS, 4.0, 0.04, clock.now())
    assert row(client, "bedrock")["status"] == "available"


def test_the_answer_is_of_the_stated_schema(client: Client) -> None:
    spec = document()
    [content] = spec["paths"]["/unified/providers"]["get"]["responses"]["200"]["content"].values()
    schema = {**content["schema"], "components": spec["components"]}
    jsonschema_rs.validator_for(schema).validate(client("GET", "/unified/providers").json())


def test_a_key_is_needed_where_keys_are(client: Client) -> None:
    """Contract 12.8."""
    client.identity = {"auth": "unknown"}
    assert client("GET", "/unified/providers").status == 403

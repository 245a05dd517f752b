"""The providers' health in DynamoDB: shared by all functions and safe under concurrent writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from lambdas.adapters import aws
from lambdas.adapters.dynamodb import health as dynamodb_health
from lambdas.adapters.dynamodb.health import DynamoHealth
from lambdas.domain.failures import Failure
from lambdas.domain.ports.providers import ProviderHealth
from lambdas.domain.routing.health import PROBE_SECONDS, TRIP_AFTER, NoFailure, may_call
from tests.support.fakes import FakeHealth

T = 1_790_000_000.0
MODEL = "m"


@pytest.fixture(params=["table", "fake"])
def health(request: pytest.FixtureRequest) -> ProviderHealth:
    if request.param == "fake":
        return FakeHealth()
    request.getfixturevalue("cloud")
    return DynamoHealth("providers")


def trip(health: ProviderHealth, now: float = T) -> float:
    """Fail into a cooldown; returns its end."""
    for _ in range(TRIP_AFTER):
        health.observe("gemini", MODEL, Failure.UNAVAILABLE, 0.5, 0.0, now)
    return health.snapshot()["gemini"].cooldown_until


def test_what_one_saw_another_knows(health: ProviderHealth) -> None:
    assert health.snapshot() == {}
    health.observe("gemini", MODEL, NoFailure.SUCCESS, 4.0, 0.04, T)
    health.observe("gemini", MODEL, Failure.FAILED, 4.0, 0.0, T)
    health.observe("bedrock", MODEL, NoFailure.SUCCESS, 4.0, 0.04, T)
    other = DynamoHealth("providers") if isinstance(health, DynamoHealth) else health
    seen = other.snapshot()
    assert set(seen) == {"gemini", "bedrock"}
    assert (seen["gemini"].successes, seen["gemini"].failures, seen["gemini"].cost_usd) == (1, 1, 0.04)
    assert seen["gemini"].latencies == ((T, 4.0, MODEL),)


def test_the_probe_is_one_over_all(health: ProviderHealth) -> None:
    assert health.claim_probe("gemini", T)  # a provider nobody has seen is open
    end = trip(health)
    assert not health.claim_probe("gemini", end - 1)
    assert health.claim_probe("gemini", end)
    assert not health.claim_probe("gemini", end + 1)
    assert health.claim_probe("gemini", end + PROBE_SECONDS)  # the first one never came back
    health.observe("gemini", MODEL, NoFailure.SUCCESS, 1.0, 0.0, end + PROBE_SECONDS + 1)
    assert health.claim_probe("gemini", end + PROBE_SECONDS + 1)
    assert health.claim_probe("gemini", end + PROBE_SECONDS + 1)


def test_of_many_functions_at_once_one_probes(cloud: None, serial: None) -> None:
    end = trip(DynamoHealth("providers"))
    functions = [DynamoHealth("providers") for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda function: function.claim_probe("gemini", end), functions))
    assert claims.count(True) == 1


def test_concurrent_observers_lose_little(cloud: None, serial: None) -> None:
    functions = [DynamoHealth("providers") for _ in range(4)]

    def work(function: DynamoHealth) -> None:
        for _ in range(10):
            function.observe("gemini", MODEL, NoFailure.SUCCESS, 1.0, 0.01, T)
            time.sleep(0.02)  # no provider answers faster than that

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, functions))
    counted = DynamoHealth("providers").snapshot()["gemini"].successes
    assert 35 <= counted <= 40
    item = boto3.client("dynamodb").get_item(TableName="providers", Key=_key("gemini"))["Item"]
    assert int(item["version"]["N"]) == counted  # never was one overwritten


def test_memory_is_short_and_knows_its_own_writes(cloud: None, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = DynamoHealth("providers"), DynamoHealth("providers")
    at = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: at)
    assert reader.snapshot() == {}
    end = trip(writer)
    assert reader.snapshot() == {}
    assert may_call(writer.snapshot()["gemini"], T) == "no"
    assert not reader.claim_probe("gemini", end - 1)
    assert may_call(reader.snapshot()["gemini"], T) == "no"  # it has read the item just now
    at += dynamodb_health.MEMORY_SECONDS
    assert reader.snapshot() == writer.snapshot()


def test_an_item_expires_a_day_after_its_last_call(cloud: None) -> None:
    DynamoHealth("providers").observe("gemini", MODEL, NoFailure.SUCCESS, 1.0, 0.0, T)
    item = boto3.client("dynamodb").get_item(TableName="providers", Key=_key("gemini"))["Item"]
    assert int(item["expires_at"]["N"]) == T + 24 * 3600


def test_only_granted_operations_are_used(cloud: None) -> None:
    used: set[str] = set()
    aws.dynamodb_once().meta.events.register("before-call.dynamodb.*", _note(used))
    health = DynamoHealth("providers")
    health.claim_probe("gemini", trip(health))
    assert used <= {"GetItem", "BatchGetItem", "Query", "UpdateItem"}


def test_a_table_out_of_reach_costs_knowledge_only(cloud: None) -> None:
    health = DynamoHealth("providers", memory_seconds=0)
    health.observe("gemini", MODEL, NoFailure.SUCCESS, 1.0, 0.0, T)
    assert set(health.snapshot()) == {"gemini"}
    boto3.client("dynamodb").delete_table(TableName="providers")
    with pytest.raises(ClientError):
        aws.client("dynamodb").get_item(TableName="providers", Key=_key("gemini"))
    assert set(health.snapshot()) == {"gemini"}
    health.observe("gemini", MODEL, NoFailure.SUCCESS, 1.0, 0.0, T)
    assert not health.claim_probe("gemini", T)


def _key(provider: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": "health"}, "sk": {"S": provider}}


def _note(used: set[str]) -> Callable[..., None]:
    def noted(model: Any, **_: Any) -> None:
        used.add(model.name)

    return noted

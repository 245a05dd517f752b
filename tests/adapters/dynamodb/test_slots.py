"""Slots in DynamoDB: exactly the cap over all functions, and no wait if the table is unreachable."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient

from lambdas.adapters.dynamodb import slots as dynamodb_slots
from lambdas.adapters.dynamodb.slots import DynamoSlots
from lambdas.domain.limits import slots as rules
from lambdas.domain.ports.load import Slots
from tests.support.fakes import FakeSlots

T = 1_790_000_000.0
UNTIL = T + 60


@pytest.fixture(params=["table", "fake"])
def slots(request: pytest.FixtureRequest) -> Slots:
    if request.param == "fake":
        return FakeSlots(leonardo_ai=4)
    request.getfixturevalue("cloud")
    return DynamoSlots("providers", {"leonardo_ai": 4})


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests take turns, from threads at once: the emulation lets a read see half of a write."""
    lock = threading.RLock()
    real = BaseClient._make_api_call

    def one_at_a_time(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return real(*args, **kwargs)

    monkeypatch.setattr(BaseClient, "_make_api_call", one_at_a_time)


def acquire(slots: Slots, call: str, tenant: str = "acme", now: float = T, until: float = UNTIL) -> bool:
    return slots.acquire("leonardo_ai", call, tenant, now, until)


def test_up_to_the_cap_and_up_to_a_tenants_share(slots: Slots) -> None:
    assert [acquire(slots, call) for call in "abcd"] == [True, True, True, False]
    assert [acquire(slots, call, "umbrella") for call in "ef"] == [True, False]


def test_a_freed_slot_is_free(slots: Slots) -> None:
    assert [acquire(slots, call) for call in "abcd"] == [True, True, True, False]
    slots.release("leonardo_ai", "b")
    slots.release("leonardo_ai", "b")
    slots.release("leonardo_ai", "never taken")
    assert acquire(slots, "d")
    assert not acquire(slots, "e")


def test_the_slot_of_a_dead_run_ends_by_itself(slots: Slots) -> None:
    assert all(acquire(slots, call) for call in "abc")
    assert not acquire(slots, "d", now=UNTIL - 0.1, until=UNTIL + 60)
    assert acquire(slots, "d", now=UNTIL, until=UNTIL + 60)
    slots.release("leonardo_ai", "a")  # by a run that was thought dead
    assert [acquire(slots, call, now=UNTIL + 1, until=UNTIL + 60) for call in "efg"] == [True, True, False]


def test_taking_twice_for_one_call_takes_once(slots: Slots) -> None:
    assert all(acquire(slots, "a") for _ in range(5))
    assert acquire(slots, "b")


def test_a_provider_without_a_cap_costs_no_request(cloud: None) -> None:
    used = _used()
    slots = DynamoSlots("providers", {"leonardo_ai": 4})
    assert slots.acquire("bedrock", "a", "acme", T, UNTIL)
    slots.release("bedrock", "a")
    assert used == []


def test_two_requests_take_a_slot_and_one_frees_it(cloud: None) -> None:
    used = _used()
    slots = DynamoSlots("providers", {"leonardo_ai": 4})
    acquire(slots, "a")
    slots.release("leonardo_ai", "a")
    assert used == ["GetItem", "UpdateItem", "UpdateItem"]


def test_of_40_at_once_ten_get_the_ten_slots(cloud: None, turns: None) -> None:
    functions = [DynamoSlots("providers", {"leonardo_ai": 10}) for _ in range(40)]
    start = threading.Barrier(40)

    def work(number: int) -> bool:
        start.wait()
        return functions[number].acquire("leonardo_ai", f"c{number}", f"t{number % 4}", T, UNTIL)

    with ThreadPoolExecutor(40) as pool:
        assert list(pool.map(work, range(40))).count(True) == 10


def test_of_40_at_once_of_one_tenant_its_share_gets_in(cloud: None, turns: None) -> None:
    functions = [DynamoSlots("providers", {"leonardo_ai": 10}) for _ in range(40)]
    with ThreadPoolExecutor(40) as pool:
        got = list(pool.map(lambda n: functions[n].acquire("leonardo_ai", f"c{n}", "greedy", T, UNTIL), range(40)))
    assert got.count(True) == rules.share(10) == 8
    assert [acquire(functions[0], call, "quiet") for call in "xyz"] == [True, True, False]


def test_callers_that_come_and_go_never_pass_the_cap(cloud: None, turns: None) -> None:
    inside: set[str] = set()
    lock = threading.Lock()
    most: list[int] = []

    def work(number: int) -> int:
        function = DynamoSlots("providers", {"leonardo_ai": 3})
        done = 0
        for turn in range(6):
            call = f"{number}-{turn}"
            if not function.acquire("leonardo_ai", call, f"t{number}", T, UNTIL):
                continue
            with lock:
                inside.add(call)
                most.append(len(inside))
            time.sleep(0.005)  # so that calls overlap; nothing is judged by it
            with lock:
                inside.remove(call)
            function.release("leonardo_ai", call)
            done += 1
        return done

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) > 0
    assert max(most) <= 3
    item = boto3.client("dynamodb").get_item(TableName="providers", Key=_key())["Item"]
    assert item["held"]["M"] == {}  # every one was given back


def test_one_who_is_always_overtaken_waits(cloud: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    slots = DynamoSlots("providers", {"leonardo_ai": 4})
    assert acquire(slots, "a")
    db = boto3.client("dynamodb")

    def overtake(**_: Any) -> None:
        add = {"UpdateExpression": "ADD version :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
        db.update_item(TableName="providers", Key=_key(), **add)

    dynamodb_slots._client().meta.events.register("before-call.dynamodb.UpdateItem", overtake)
    assert not acquire(slots, "b")


def test_the_item_is_kept_a_day(cloud: None) -> None:
    acquire(DynamoSlots("providers", {"leonardo_ai": 4}), "a")
    item = boto3.client("dynamodb").get_item(TableName="providers", Key=_key())["Item"]
    assert int(item["expires_at"]["N"]) == T + 24 * 3600


def test_a_table_out_of_reach_blocks_no_call(cloud: None) -> None:
    slots = DynamoSlots("providers", {"leonardo_ai": 1})
    assert acquire(slots, "a")
    assert not acquire(slots, "b", "umbrella")
    boto3.client("dynamodb").delete_table(TableName="providers")
    assert acquire(slots, "b", "umbrella")
    slots.release("leonardo_ai", "b")


def test_only_granted_operations_are_used(cloud: None) -> None:
    used = _used()
    slots = DynamoSlots("providers", {"leonardo_ai": 1})
    acquire(slots, "a")
    slots.release("leonardo_ai", "a")
    assert set(used) <= {"GetItem", "UpdateItem"}


def _key() -> dict[str, dict[str, str]]:
    return {"pk": {"S": "slots"}, "sk": {"S": "leonardo_ai"}}


def _used() -> list[str]:
    """The names of the requests to DynamoDB from now on."""
    used: list[str] = []
    dynamodb_slots._client().meta.events.register("before-call.dynamodb.*", lambda model, **_: used.append(model.name))
    return used

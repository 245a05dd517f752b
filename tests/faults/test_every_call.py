"""Each AWS call of each flow fails: the client gets a correct answer, and the final state is consistent.

A writing call loses its answer, once and for good, and fails in one of the other ways, which take turns; so does a
reading one. Flows that begin as another one does begin to fail where they part from it. With FAULTS=all in the
environment each call of each flow fails in every way, once and for good.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import pytest

from tests.api.client import Answer
from tests.faults.checks import check_all
from tests.faults.flow import Flow
from tests.faults.flows import FLOWS
from tests.faults.injector import FAULTS, Injector, Plan
from tests.faults.receiver import check_events
from tests.faults.world import World

RECORDED: dict[str, list[str]] = json.loads((Path(__file__).parent / "calls.json").read_text("utf-8"))
EVERY_WAY = [(fault, persistent) for fault in FAULTS for persistent in (False, True)]
LOST = [way for way in EVERY_WAY if way[0] == "lost"]
OTHERS = [way for way in EVERY_WAY if way not in LOST]


READS = ("-Get", "-BatchGet", "-Query-")


IN_FULL = os.environ.get("FAULTS") == "all"
BEGIN_ALIKE = ("paid_shot", "reference", "ticket_of_ours", "ticket_of_theirs", "two_images")


def _own(name: str) -> list[str]:
    """The calls of a flow that no other one has tried in the same place."""
    calls = RECORDED.get(name, [])
    if IN_FULL or name not in BEGIN_ALIKE[1:]:
        return calls
    pairs = zip(calls, RECORDED[BEGIN_ALIKE[0]], strict=False)
    return calls[sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs)) :]


def _ways(call: str, turn: int) -> list[tuple[str, bool]]:
    if IN_FULL:
        return EVERY_WAY
    if any(read in call for read in READS):
        return [EVERY_WAY[turn % len(EVERY_WAY)]]
    return [OTHERS[turn % len(OTHERS)], *LOST]


CALLS = [(name, call) for name in sorted(RECORDED) for call in _own(name)]
CASES = [(*at, *way) for turn, at in enumerate(CALLS) for way in _ways(at[1], 7 * turn)]
Open = Callable[[Flow], World]


def is_clean(answer: Answer) -> None:
    """A failure of what the service stands on, told as such."""
    told = answer.json()
    if "error" in told:  # in OpenAI's shape, on its routes, where a job that goes on is no 202
        assert (answer.status, answer.headers["x-should-retry"]) == (503, "true")
        assert told["error"]["code"] in ("temporarily_unavailable", "generation_in_progress")
        assert int(answer.headers["Retry-After"]) > 0
        return
    assert (answer.status, told["status"], told["code"]) == (503, 503, "temporarily_unavailable"), told
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("name", sorted(FLOWS))
def test_the_calls_of_a_flow_are_those_on_record(name: str, world_of: Open, injector: Injector) -> None:
    """`python -m tests.faults.record` writes them anew. A call more on the way to an image is a decision."""
    world = world_of(FLOWS[name])
    with injector.watched():
        answer = FLOWS[name].act(world)
    assert injector.calls == RECORDED[name]
    assert answer is None or answer.status in FLOWS[name].right
    _ends_well(FLOWS[name], world, None)


@pytest.mark.parametrize(
    ("name", "call", "fault", "persistent"),
    CASES,
    ids=lambda value: value if isinstance(value, str) else "always" if value else "once",
)
def test_a_call_fails(name: str, call: str, fault: str, persistent: bool, world_of: Open, injector: Injector) -> None:
    flow = FLOWS[name]
    world = world_of(flow)
    plan = Plan(call, fault, persistent)
    before = world.counted()
    with injector.watched(plan):
        answer = flow.act(world)
    assert plan.met
    assert world.counted() <= before + flow.cost + 0.01
    if answer is not None and answer.status not in flow.right:
        is_clean(answer)
    if flow.repeats:
        _asked_again(flow, world, answer)
    _ends_well(flow, world, plan)


def _asked_again(flow: Flow, world: World, first: Answer | None) -> None:
    """Under its key, until it is answered: always by the same jobs."""
    for _ in range(50):
        again = flow.act(world)
        if again is None or again.status not in (202, 409) or not world.of_jobs():
            break
        assert again.status == 202 or again.json()["code"] == "still_in_progress"
        world.deliver(min(world.of_jobs(), key=lambda message: message["due"]))
    assert again is not None
    assert again.status in flow.right, again.body
    if first is not None and first.status in flow.right:
        assert _names(again) == _names(first)


def _names(answer: Answer) -> object:
    told = answer.json()
    return told.get("batch_id") or told["generation_id"]


def _ends_well(flow: Flow, world: World, plan: Plan | None) -> None:
    world.settle()
    world.tell()
    flow.check(world)
    check_all(world)
    check_events(world, plan)
    assert len(world.jobs()) == flow.jobs or flow.jobs_may_lack

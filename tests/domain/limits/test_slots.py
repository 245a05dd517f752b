"""Slots: never more calls than the cap, nor more of one tenant than its share, and every slot expires."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain.limits import slots
from lambdas.domain.limits.slots import Slot
from lambdas.domain.providers import PROVIDERS

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("cap", "share"), [(1, 1), (2, 1), (3, 2), (4, 3), (5, 4), (8, 6), (10, 8), (20, 15), (100, 75)]
)
def test_a_tenants_share(cap: int, share: int) -> None:
    assert slots.share(cap) == share


def test_a_full_provider_takes_no_call() -> None:
    held: dict[str, Slot] = {}
    for number in range(4):
        after = slots.taken(held, f"c{number}", Slot(f"t{number}", NOW + 60), 4, NOW)
        assert after is not None
        held = after
    assert slots.taken(held, "c4", Slot("t4", NOW + 60), 4, NOW) is None


def test_a_slot_ends_by_itself() -> None:
    held = {"dead": Slot("a", NOW + 60)}
    assert slots.taken(held, "new", Slot("b", NOW + 99), 1, NOW + 59.9) is None
    assert slots.taken(held, "new", Slot("b", NOW + 99), 1, NOW + 60) == {"new": Slot("b", NOW + 99)}


def test_a_call_that_has_a_slot_keeps_it() -> None:
    held = {"c": Slot("a", NOW + 60)}
    assert slots.taken(held, "c", Slot("a", NOW + 90), 1, NOW) == {"c": Slot("a", NOW + 90)}


def test_a_greedy_tenant_leaves_room() -> None:
    held: dict[str, Slot] = {}
    for number in range(20):
        held = slots.taken(held, f"g{number}", Slot("greedy", NOW + 60), 10, NOW) or held
    assert len(held) == 8
    assert slots.taken(held, "q", Slot("quiet", NOW + 60), 10, NOW) is not None


@pytest.mark.parametrize(("others", "most"), [(0, 8), (1, 7), (2, 6), (3, 6), (4, 5), (6, 3), (8, 2), (9, 1), (10, 0)])
def test_the_more_others_have_the_less_one_may_have(others: int, most: int) -> None:
    own = 0
    while slots.room(10, own, others):
        own += 1
    assert own == most


@pytest.mark.parametrize("cap", range(1, 40))
def test_one_alone_may_have_its_share(cap: int) -> None:
    own = 0
    while slots.room(cap, own, 0):
        own += 1
    assert own == slots.share(cap)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "free", "wait"]),
        st.integers(0, 12),  # which call
        st.sampled_from(["a", "b", "c"]),
        st.floats(0.1, 50),
    ),
    max_size=60,
)


@given(st.integers(1, 12), STEPS)
def test_caps_and_shares_hold_whatever_happens(cap: int, steps: list[tuple[str, int, str, float]]) -> None:
    held: dict[str, Slot] = {}
    now = NOW
    for what, number, tenant, seconds in steps:
        call = f"{tenant}{number}"
        if what == "wait":
            now += seconds
        elif what == "free":
            held.pop(call, None)
        else:
            after = slots.taken(held, call, Slot(tenant, now + seconds), cap, now)
            living = {name: slot for name, slot in held.items() if slot.until > now and name != call}
            own = [slot for slot in living.values() if slot.tenant == tenant]
            free = cap - len(living)
            if after is not None:
                assert free > 0
                assert free >= 1 + len(own) // 3  # what it leaves free is a third of what it then has, or more
            else:
                assert free == 0 or own  # whoever has nothing finds room as long as there is any
            held = after or held
        living = {name: slot for name, slot in held.items() if slot.until > now}
        assert len(living) <= cap
        for name in "abc":
            assert sum(slot.tenant == name for slot in living.values()) <= slots.share(cap)


def test_given_caps_go_over_the_defaults_and_0_takes_one_away() -> None:
    assert slots.caps({}) == {"comfyui": 4, "leonardo_ai": 10}
    assert slots.caps({"leonardo_ai": 0, "bedrock": 7}) == {"comfyui": 4, "bedrock": 7}
    assert set(slots.DEFAULT_CAPS) <= set(PROVIDERS)


def test_pauses_grow_and_scatter_and_stay_within_bounds() -> None:
    for released, (low, high) in enumerate([(2, 5), (5, 10), (10, 20), (15, 30), (15, 30)], start=1):
        assert (slots.pause(released, 0.0), slots.pause(released, 1.0)) == (low, high)
        assert low < slots.pause(released, 0.5) < high
    assert slots.pause(10_000, 1.0) == slots.MAX_PAUSE

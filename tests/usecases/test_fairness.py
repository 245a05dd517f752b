"""One tenant requests nine tenths of more than the capacity: the other one hardly notices."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from lambdas.domain.limits import slots
from tests.support.fairness import GREEDY, QUIET, Outcome, Scene, crowd, play

JOB = 8.0  # seconds of one image
CROWD = Scene(crowd(5), workers=5, minutes=12, seconds=JOB)
# Half of the workers' room at the provider: they find it full again and again.
NARROW = Scene(crowd(10), workers=20, provider="leonardo_ai", cap=10, minutes=12, seconds=JOB)


@cache
def played(scene: str, *, fair: bool = True, alone: bool = False, limit: float = 0.0) -> Outcome:
    chosen = {"crowd": CROWD, "narrow": NARROW}[scene]
    chosen = chosen.alone(QUIET) if alone else chosen
    return play(replace(chosen, fair=fair, max_queue_seconds=limit))


def test_over_several_runs_what_a_narrow_provider_costs_the_quiet_is_less_than_an_images_time() -> None:
    waits = sorted(wait for seed in (1, 2, 3) for wait in play(replace(NARROW, seed=seed)).waits[QUIET])
    assert waits[int(0.95 * len(waits))] < JOB


@pytest.mark.parametrize("scene", ["crowd", "narrow"])  # seeded: the same waits in every run
def test_a_quiet_tenant_waits_about_as_long_as_alone(scene: str) -> None:
    assert played(scene).wait(QUIET) < played(scene, alone=True).wait(QUIET) + JOB
    assert played(scene).wait(GREEDY) > 10 * JOB  # there was more to do than could be done


@pytest.mark.parametrize("scene", ["crowd", "narrow"])
def test_in_a_queue_without_groups_it_would_wait_with_all_the_others(scene: str) -> None:
    assert played(scene, fair=False).wait(QUIET) > 10 * JOB


def test_nobody_ever_holds_all_of_a_provider() -> None:
    outcome = played("narrow")
    assert outcome.most_at_once <= 10
    assert outcome.most_held[GREEDY] == slots.share(10)
    assert outcome.released > 100  # it was full, and jobs went back to the queue


def test_most_of_a_narrow_provider_is_in_use() -> None:
    took = 12 * 60 / JOB * 10
    assert played("narrow").completed > 0.75 * took


def test_refused_are_the_greedy_alone_and_the_accepted_are_served_in_time() -> None:
    limited, free = played("crowd", limit=120.0), played("crowd")
    assert set(limited.refused) == {GREEDY}
    assert limited.wait(GREEDY) < 120 * 1.25 < free.wait(GREEDY)  # the estimate knows nothing of who comes after
    assert limited.wait(QUIET) < JOB
    assert limited.completed > 0.95 * free.completed  # refusing keeps no worker idle


def test_a_load_that_the_provider_bears_is_served_soon() -> None:
    calm = replace(NARROW, rates={GREEDY: 0.7, QUIET: 0.1}, minutes=8)
    outcome = play(calm)
    assert outcome.completed >= outcome.accepted.total() - 20  # those of the last seconds
    assert outcome.wait(GREEDY) < 2 * JOB


def test_the_same_scene_passes_in_the_same_way() -> None:
    short = replace(CROWD, minutes=3)
    assert play(short) == play(short)

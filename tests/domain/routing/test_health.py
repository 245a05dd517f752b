"""The statistics of a provider, and its cooldowns."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain.failures import CONSEQUENCES, Failure, HealthEffect
from lambdas.domain.routing.health import (
    HALF_LIFE,
    KEPT,
    MAX_COOLDOWN,
    PROBE_SECONDS,
    TRIP_AFTER,
    Health,
    NoFailure,
    Seen,
    faded,
    free_at,
    may_call,
    observed,
    probing,
    status,
)

T = 1_790_000_000.0


def after(*codes: Seen, health: Health | None = None, now: float = T) -> Health:
    health = health or Health()
    for code in codes:
        health = observed(health, code, 2.0, 0.0, now, "m")
    return health


def cooled(times: int = 1) -> tuple[Health, float]:
    """A provider that has failed its way into so many cooldowns in a row, at the end of the last."""
    health = after(*[Failure.UNAVAILABLE] * TRIP_AFTER)
    for _ in range(times - 1):
        health = after(Failure.UNAVAILABLE, health=health, now=health.cooldown_until)
    return health, health.cooldown_until


def test_a_new_provider_is_available() -> None:
    assert status(Health(), T) == "available"
    assert may_call(Health(), T) == "yes"
    assert Health().success_rate is None
    assert Health().latency(0.5, T) is None


def test_counts_fade_by_half_in_a_half_life() -> None:
    health = after(NoFailure.SUCCESS, NoFailure.SUCCESS, Failure.FAILED)
    later = faded(health, T + HALF_LIFE)
    assert (later.successes, later.failures) == (1.0, 0.5)
    assert later.success_rate == health.success_rate
    assert faded(health, T - 50) == health  # the clocks of two functions differ


def test_latencies_are_quantiles_of_the_latest_successes() -> None:
    health = Health()
    for seconds in range(1, 101):
        health = observed(health, NoFailure.SUCCESS, float(seconds), 0.0, T + seconds, "m")
    assert len(health.latencies) == KEPT
    assert health.latency(0.5, T + 100) == 81.0
    assert health.latency(0.95, T + 100) == 99.0
    assert health.latency(0.5, T + 2 * 3600) is None


@pytest.mark.parametrize("code", [code for code in Failure if CONSEQUENCES[code].health is HealthEffect.FAILURE])
def test_repeated_failures_begin_a_cooldown(code: Failure) -> None:
    health = after(*[code] * (TRIP_AFTER - 1))
    assert may_call(health, T) == "yes"
    assert status(health, T) == "degraded"
    health = after(code, health=health)
    assert may_call(health, T) == "no"
    assert status(health, T) == "cooling_down"


@pytest.mark.parametrize("code", [Failure.NOT_AUTHORIZED, Failure.OUT_OF_CREDIT])
def test_what_does_not_cure_by_itself_cools_down_at_once(code: Failure) -> None:
    health = after(code)
    assert health.cooldown_until == T + MAX_COOLDOWN
    again = after(code, health=health, now=T + MAX_COOLDOWN)
    assert again.cooldown_until == T + 2 * MAX_COOLDOWN


@pytest.mark.parametrize("code", [Failure.CONTENT_POLICY, Failure.INVALID_REQUEST])
def test_what_the_client_did_is_not_held_against_the_provider(code: Failure) -> None:
    health = after(*[code] * 50)
    assert (health.failures, health.streak, status(health, T)) == (0.0, 0, "available")


def test_one_missing_model_leaves_the_provider_and_its_other_models_alone() -> None:
    health = after(*[Failure.MODEL_GONE] * 50)
    assert status(health, T) == "available"
    assert may_call(health, T, "m") == "no"
    assert may_call(health, T, "other") == "yes"
    assert free_at(health, T, "m") == T + MAX_COOLDOWN
    assert may_call(health, T + MAX_COOLDOWN, "m") == "yes"
    assert may_call(after(NoFailure.SUCCESS, health=health), T, "m") == "yes"


def test_a_success_in_between_forgives() -> None:
    ends: list[Seen] = [Failure.FAILED, Failure.FAILED, NoFailure.SUCCESS]
    health = after(*ends * 3)
    assert may_call(health, T) == "yes"
    assert status(health, T) == "degraded"  # a third of the calls is not sound


def test_cooldowns_grow_and_never_pass_five_minutes() -> None:
    lengths = []
    for times in range(1, 9):
        health, end = cooled(times)
        lengths.append(end - health.updated)
    assert lengths[:5] == [15, 30, 60, 120, 240]
    assert set(lengths[5:]) == {MAX_COOLDOWN}


def test_calls_that_were_under_way_do_not_prolong_a_cooldown() -> None:
    health, end = cooled()
    assert after(*[Failure.TIMEOUT] * 20, health=health, now=end - 1).cooldown_until == end


def test_the_end_of_a_cooldown_is_one_probe() -> None:
    health, end = cooled()
    assert may_call(health, end) == "probe"
    assert status(health, end) == "degraded"
    claimed = probing(health, end)
    assert may_call(claimed, end) == "no"
    assert free_at(claimed, end) == end + PROBE_SECONDS
    assert may_call(claimed, end + PROBE_SECONDS) == "probe"  # the one that tried has died

    worked = after(NoFailure.SUCCESS, health=claimed, now=end + 4)
    assert may_call(worked, end + 4) == "yes"
    failed = after(Failure.TIMEOUT, health=claimed, now=end + 4)
    assert failed.cooldown_until == end + 4 + 30
    no_verdict = after(Failure.CONTENT_POLICY, health=claimed, now=end + 4)
    assert may_call(no_verdict, end + 4) == "probe"


def test_an_outage_counts_once_however_often_it_was_probed() -> None:
    health, end = cooled(8)
    assert health.failures < TRIP_AFTER
    worked = after(NoFailure.SUCCESS, health=probing(health, end), now=end)
    assert may_call(worked, end) == "yes"
    assert worked.cooldowns == 4


def test_what_is_stored_comes_back() -> None:
    health, end = cooled(2)
    health = after(NoFailure.SUCCESS, Failure.MODEL_GONE, health=health, now=end)
    assert Health.from_dict(json.loads(json.dumps(health.to_dict()))) == health
    assert Health.from_dict(Health().to_dict()) == Health()


@given(st.lists(st.tuples(st.sampled_from([*NoFailure, *Failure]), st.floats(0, 400), st.floats(0, 700))))
def test_no_history_keeps_a_provider_away_longer_than_five_minutes(calls: list[tuple[Seen, float, float]]) -> None:
    health, now = Health(), T
    for code, seconds, pause in calls:
        now += pause
        health = observed(health, code, seconds, 0.01, now, "m")
        assert may_call(health, now + MAX_COOLDOWN, "m") in ("yes", "probe")
        assert free_at(health, now, "m") <= now + MAX_COOLDOWN
        assert 0 <= (health.success_rate or 0) <= 1

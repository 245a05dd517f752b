"""The backlog's estimates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain.limits import backlog
from lambdas.domain.routing.health import Health, NoFailure, observed

NOW = 1_790_000_000.0


def seen(count: int, seconds: float) -> Health:
    health = Health()
    for _ in range(count):
        health = observed(health, NoFailure.SUCCESS, seconds, 0.01, NOW)
    return health


@pytest.mark.parametrize(
    ("limits", "shortest"), [((900, 0), 900), ((0, 60.5), 60.5), ((900, 60), 60), ((0, 0), 0), ((), 0)]
)
def test_the_shortest_limit_counts_and_0_is_none(limits: tuple[float, ...], shortest: float) -> None:
    assert backlog.deadline(*limits) == shortest


def test_what_an_image_takes_is_weighed_by_traffic() -> None:
    assert backlog.mean_seconds({}, NOW) == backlog.JOB_SECONDS
    assert backlog.mean_seconds({"a": Health()}, NOW) == backlog.JOB_SECONDS
    assert backlog.mean_seconds({"a": seen(3, 4.0), "b": seen(1, 8.0), "c": Health()}, NOW) == pytest.approx(5.0)
    old = {"a": seen(10, 4.0)}  # faded, but all that is known
    assert backlog.mean_seconds(old, NOW + 3000) == pytest.approx(4.0)


def test_a_watchdogs_message_is_no_second_job() -> None:
    # 5 workers, 10 s a job: 2 s for each message while all are young
    assert backlog.wait_of_all(10, 10, 5, 30) == 20
    assert backlog.wait_of_all(15, 10, 5, 30) == 30
    # 100 jobs in line take 200 s, and the 85 that have waited for more than 30 s have two messages
    assert backlog.wait_of_all(185, 10, 5, 30) == 200


def test_a_tenants_own_wait_at_half_the_workers() -> None:
    assert backlog.wait_of_own(10, 10, 5) == 40
    assert backlog.most_own(900, 10, 20) == 900
    assert backlog.most_own(900, 0.1, 1000) == backlog.MAX_COUNTED - 1


@given(st.floats(1, 3600), st.floats(0.05, 600), st.integers(1, 1000))
def test_whoever_has_what_it_may_have_is_served_in_time(limit: float, mean: float, workers: int) -> None:
    most = backlog.most_own(limit, mean, workers)
    assert most >= 0
    assert backlog.wait_of_own(most, mean, workers) <= limit * (1 + 1e-9)
    if most < backlog.MAX_COUNTED - 1:
        assert backlog.wait_of_own(most + 1, mean, workers) > limit * (1 - 1e-9)


@pytest.mark.parametrize(("wait", "seconds"), [(900.5, 5), (904.2, 5), (907.1, 8), (2000, 1100)])
def test_when_to_come_again(wait: float, seconds: int) -> None:
    assert backlog.retry_after(wait, 900) == seconds

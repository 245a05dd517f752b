"""The rate limit equals a token bucket for any sequence of requests."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain.limits import rate
from lambdas.domain.limits.rate import SECOND
from tests.support.fakes import FakeLimits

LIMITS = st.sampled_from([1, 2, 5, 12, 60, 100, 600])  # that divide a minute into whole microseconds
START = 1_790_000_000


@given(LIMITS, st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 8)), max_size=60))
def test_it_admits_what_a_bucket_of_tokens_would(limit: int, arrivals: list[tuple[int, int]]) -> None:
    limits, tokens, then = FakeLimits(limit), Fraction(limit), START * 1000
    for wait, cost in arrivals:
        now = then + wait
        tokens = min(Fraction(limit), tokens + Fraction(wait * limit, 60_000))
        then = now
        verdict = limits.admit("acme", cost, now / 1000)
        assert verdict is not None
        assert (verdict.retry_after is None) == (tokens >= cost)
        if tokens >= cost:
            tokens -= cost
        assert abs(verdict.remaining - tokens) < 1 + Fraction(1, 1000)
        assert verdict.limit == limit


@given(st.integers(1, 1000), st.integers(1, 8))
def test_waiting_as_long_as_was_said_is_enough(limit: int, cost: int) -> None:
    limits = FakeLimits(limit)
    now = float(START)
    for _ in range(2000):
        verdict = limits.admit("acme", cost, now)
        assert verdict is not None
        if verdict.retry_after is not None:
            break
    assert verdict is not None
    assert verdict.retry_after is not None
    if cost > limit:
        assert verdict.retry_after == 60
        return
    again = limits.admit("acme", cost, now + verdict.retry_after)
    assert again is not None
    assert again.retry_after is None


def test_what_a_client_is_told() -> None:
    now = START * SECOND
    step = rate.interval(10)
    first = rate.admitted(10, now + step, now)
    assert (first.remaining, first.reset, first.retry_after) == (9, 6, None)
    full = rate.refused(10, now + 10 * step, now, 1)
    assert (full.remaining, full.reset, full.retry_after) == (0, 60, 6)

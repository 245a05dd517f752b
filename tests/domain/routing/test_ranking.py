"""The order in which models are asked."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain.catalogue import CARDS
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.failures import Failure
from lambdas.domain.jobs.request import Strategy
from lambdas.domain.routing.health import TRIP_AFTER, Health, NoFailure, Seen, observed, probing
from lambdas.domain.routing.ranking import SCORES, Ranking, rank

T = 1_790_000_000.0


def card(model: str, price: float = 0.04, quality: int = 5, seconds: float = 6.0) -> ModelCard:
    provider = model.partition("-")[0]
    return replace(CARDS[0], id=model, provider=provider, price_usd=price, quality=quality, typical_seconds=seconds)


A1, A2 = card("a-1", 0.04, 5, 4.0), card("a-2", 0.01, 9, 8.0)
B1, C1 = card("b-1", 0.02, 7, 6.0), card("c-1", 0.08, 8, 2.0)
ALL = (A1, A2, B1, C1)


def seen(*calls: tuple[Seen, float], model: str = "", times: int = 1, ago: float = 0.0) -> Health:
    health = Health()
    for code, seconds in calls * times:
        health = observed(health, code, seconds, 0.0, T - ago, model)
    return health


def ranked(strategy: Strategy, healths: dict[str, Health] | None = None, seed: int = 1, **more: object) -> Ranking:
    return rank(ALL, healths or {}, strategy, T, random.Random(seed), **more)  # type: ignore[arg-type]


def order(ranking: Ranking) -> str:
    return " ".join(c.id for c in ranking.ready)


def first_of(strategy: Strategy, healths: dict[str, Health], times: int = 400, **more: object) -> Counter[str]:
    return Counter(ranked(strategy, healths, seed, **more).ready[0].provider for seed in range(times))


def test_every_strategy_has_its_score() -> None:
    assert set(SCORES) == set(get_args(Strategy))


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [("cheapest", "a-2 b-1 c-1"), ("fastest", "c-1 a-1 b-1"), ("quality", "a-2 c-1 b-1")],
)
def test_before_anything_is_seen_the_cards_decide(strategy: Strategy, expected: str) -> None:
    assert order(ranked(strategy)) == expected


def test_one_model_per_provider_and_the_others_in_spare() -> None:
    ranking = ranked("cheapest")
    assert [c.id for c in ranking.spare] == ["a-1"]
    assert (ranking.resting, ranking.free_at) == ((), None)


def test_balanced_asks_a_provider_for_its_default_model() -> None:
    assert all("a-1" in order(ranked("balanced", seed=seed)) for seed in range(50))


def test_fastest_learns_from_what_it_sees() -> None:
    assert order(ranked("fastest", {"c": seen((NoFailure.SUCCESS, 30.0), model="c-1", times=10)})) == "a-1 b-1 c-1"
    assert order(ranked("fastest", {"b": seen((NoFailure.SUCCESS, 1.0), model="b-1", times=10)})) == "b-1 c-1 a-1"
    # seconds of another model of the same provider say nothing of this one
    assert order(ranked("fastest", {"c": seen((NoFailure.SUCCESS, 30.0), model="c-9", times=10)})) == "c-1 a-1 b-1"
    # failures cost the time they took, and what was long ago counts for little
    broken = seen((NoFailure.SUCCESS, 2.0), (Failure.TIMEOUT, 20.0), model="c-1", times=10)
    assert order(ranked("fastest", {"c": broken})) == "a-1 b-1 c-1"
    assert (
        order(ranked("fastest", {"c": seen((NoFailure.SUCCESS, 30.0), model="c-1", times=10, ago=7200)}))
        == "c-1 a-1 b-1"
    )


def test_cheapest_counts_what_failures_cost() -> None:
    same = (card("a-1", 0.04), card("b-1", 0.04))
    wasted = observed(seen((NoFailure.SUCCESS, 1.0), times=5), Failure.BAD_ANSWER, 1.0, 0.04, T)
    ranking = rank(same, {"a": wasted, "b": seen((NoFailure.SUCCESS, 9.0), times=5)}, "cheapest", T, random.Random(1))
    assert order(ranking) == "b-1 a-1"


def test_resting_providers_are_told_apart() -> None:
    down = seen((Failure.UNAVAILABLE, 0.1), times=TRIP_AFTER)
    ranking = ranked("cheapest", {"a": down, "b": seen((Failure.OUT_OF_CREDIT, 0.1))})
    assert order(ranking) == "c-1"
    assert [c.id for c in ranking.resting] == ["a-1", "a-2", "b-1"]
    assert ranking.free_at == T + 15


def test_a_missing_model_rests_alone() -> None:
    ranking = ranked("cheapest", {"a": seen((Failure.MODEL_GONE, 0.1), model="a-2")})
    assert order(ranking) == "b-1 a-1 c-1"


def test_a_provider_due_for_its_probe_keeps_its_place_and_is_first_in_balanced() -> None:
    down = seen((Failure.UNAVAILABLE, 0.1), times=TRIP_AFTER, ago=60)
    for strategy in ("cheapest", "quality"):
        assert order(ranked(strategy, {"a": down})) == order(ranked(strategy))
    assert order(ranked("fastest", {"c": down})) == order(ranked("fastest"))
    assert all(ranked("balanced", {"c": down}, seed).ready[0] == C1 for seed in range(20))
    claimed = ranked("balanced", {"c": probing(down, T)})
    assert [c.id for c in claimed.resting] == ["c-1"]


def test_what_drops_less_goes_first_whatever_the_strategy() -> None:
    losses = {"a-1": 1, "a-2": 2, "b-1": 0, "c-1": 1}
    for strategy in SCORES:
        ranking = ranked(strategy, losses=losses)
        assert ranking.ready[0] == B1
        assert A1 in ranking.ready  # a-2 drops more, better as it may be


def test_weights_share_the_traffic_out() -> None:
    counts = first_of("cheapest", {}, times=2000, weights={"a": 1, "c": 3, "b": 0})
    assert 0.7 < counts["c"] / 2000 < 0.8
    assert counts["b"] == 0
    assert ranked("cheapest", weights={"a": 1, "c": 3}).ready[-1] == B1


def test_balanced_prefers_what_works_and_still_looks_at_the_others() -> None:
    same = (card("a-1"), card("b-1"))
    healths = {
        "a": seen((NoFailure.SUCCESS, 6.0), model="a-1", times=50),
        "b": seen((NoFailure.SUCCESS, 6.0), (Failure.FAILED, 6.0), model="b-1", times=10),
    }
    counts = Counter(rank(same, healths, "balanced", T, random.Random(s)).ready[0].provider for s in range(1000))
    assert counts["a"] > 950
    long_ago = {p: replace(h, updated=T - 7200) for p, h in healths.items()}
    counts = Counter(rank(same, long_ago, "balanced", T, random.Random(s)).ready[0].provider for s in range(1000))
    assert 100 < counts["b"] < 600


def test_the_same_seed_gives_the_same_order() -> None:
    healths = {"a": seen((NoFailure.SUCCESS, 3.0), (Failure.FAILED, 1.0), times=4)}
    for strategy in SCORES:
        assert ranked(strategy, healths, 7, weights={"a": 1, "b": 1}) == ranked(
            strategy, healths, 7, weights={"a": 1, "b": 1}
        )


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from([*NoFailure, *Failure]), st.floats(0, 400)), max_size=60
    ),
    st.sampled_from(get_args(Strategy)),
    st.integers(0, 99),
)
def test_no_model_is_lost_and_none_comes_twice(
    calls: list[tuple[str, Seen, float]], strategy: Strategy, seed: int
) -> None:
    healths: dict[str, Health] = {}
    for number, (provider, code, seconds) in enumerate(calls):
        now = T - len(calls) + number
        healths[provider] = observed(healths.get(provider, Health()), code, seconds, 0.01, now, f"{provider}-1")
    ranking = ranked(strategy, healths, seed)
    everything = [*ranking.ready, *ranking.spare, *ranking.resting]
    assert sorted(c.id for c in everything) == sorted(c.id for c in ALL)
    assert len({c.provider for c in ranking.ready}) == len(ranking.ready)
    assert (ranking.free_at is None) == (not ranking.resting)
    assert ranking.free_at is None or T < ranking.free_at <= T + 300

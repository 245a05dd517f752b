"""An hour of simulated traffic with providers that fail, slow down and recover."""

from __future__ import annotations

from typing import get_args

import pytest

from lambdas.domain.failures import Failure
from lambdas.domain.jobs.request import Strategy
from tests.support.simulation import MINUTE, Service, Spell, simulate

START, END = 10 * MINUTE, 30 * MINUTE
FAULTS = [
    (Failure.UNAVAILABLE, 0.3),
    (Failure.THROTTLED, 0.2),
    (Failure.TIMEOUT, 15.0),
    (Failure.OUTCOME_UNKNOWN, 1.0),
    (Failure.FAILED, 4.0),
    (Failure.OUT_OF_CREDIT, 0.2),
]


def outage(code: Failure, seconds: float) -> dict[str, Service]:
    """The provider that is best in every respect is out for twenty minutes."""
    return {
        "best": Service(price=0.01, seconds=4, quality=8, spells=(Spell(START, END, code, seconds),)),
        "other": Service(price=0.03, seconds=8, quality=6),
    }


@pytest.mark.parametrize("strategy", get_args(Strategy))
@pytest.mark.parametrize(("code", "seconds"), FAULTS)
def test_no_client_notices_an_outage_and_traffic_returns(strategy: Strategy, code: Failure, seconds: float) -> None:
    for seed in range(3):
        run = simulate(outage(code, seconds), minutes=50, seed=seed, strategy=strategy)
        assert run.failed == 0
        assert run.share("best", 0, START) > 0.95
        assert run.share("best", START + MINUTE, END) == 0
        assert run.returned_after("best", END) <= 6 * MINUTE
        assert run.share("best", 45 * MINUTE, 50 * MINUTE) > 0.95
        # what it costs: those under way when it began, then one probe per cooldown
        in_vain = [at for at, name, _ in run.calls if name == "best" and START <= at < END]
        assert len(in_vain) <= 25
        assert run.wait(0.95, START + MINUTE, END) < 14


def test_an_outage_under_heavy_traffic() -> None:
    run = simulate(outage(Failure.TIMEOUT, 15.0), minutes=34, seed=1, every=0.5)
    assert run.failed == 0
    assert run.share("best", START + MINUTE, END) == 0
    after_first_minute = [at for at, name, _ in run.calls if name == "best" and START + MINUTE <= at < END]
    assert len(after_first_minute) <= 8


def test_all_policies_of_refusal_end_at_once() -> None:
    services = {
        "best": Service(0.01, 4, 8, spells=(Spell(0, 60 * MINUTE, Failure.CONTENT_POLICY),)),
        "other": Service(0.03, 8, 6),
    }
    run = simulate(services, minutes=10, seed=1)
    asked = [name for _, name, _ in run.calls]
    assert run.failed == asked.count("best")
    assert run.failed + len(run.served) == len(asked)  # nobody was sent on to the other


def test_a_provider_that_slows_down_loses_its_traffic_and_regains_it() -> None:
    services = {
        "swift": Service(0.02, 4, 7, 0.99, slow=(START, END), factor=6.0),
        "steady": Service(0.03, 5, 7, 0.99),
    }
    runs = [simulate(services, minutes=60, seed=seed) for seed in range(5)]
    for run in runs:
        assert run.share("swift", 0, START) > 0.9
        assert run.share("swift", START + 5 * MINUTE, END) < 0.1
        assert run.share("swift", END + 15 * MINUTE, 60 * MINUTE) > 0.9


@pytest.mark.parametrize("strategy", ["balanced", "fastest"])
def test_a_provider_that_fails_half_of_its_calls_loses_its_traffic(strategy: Strategy) -> None:
    services = {"flaky": Service(0.01, 4, 7, 0.5), "sound": Service(0.03, 5, 7, 0.999)}
    run = simulate(services, minutes=40, seed=3, strategy=strategy)
    assert run.share("flaky", 10 * MINUTE, 40 * MINUTE) < 0.1


def test_a_card_that_flatters_is_found_out() -> None:
    services = {"liar": Service(0.03, 20, 7, said=3), "honest": Service(0.03, 5, 7)}
    run = simulate(services, minutes=30, seed=1)
    assert run.share("liar", 5 * MINUTE, 30 * MINUTE) < 0.05


def test_learning_costs_less_than_a_tenth_of_a_cent_per_request() -> None:
    services = {"a": Service(0.01, 4, 7, 0.99), "b": Service(0.03, 8, 7, 0.99), "c": Service(0.05, 6, 7, 0.99)}
    runs = [simulate(services, minutes=60, seed=seed) for seed in range(5)]
    assert sum(r.regret for r in runs) / sum(len(r.served) for r in runs) < 0.001
    assert all(r.share("b", 0, 3600) + r.share("c", 0, 3600) > 0 for r in runs)  # the others are still looked at


def test_the_same_seed_gives_the_same_hour() -> None:
    runs = [simulate(outage(Failure.TIMEOUT, 15.0), minutes=20, seed=5) for _ in range(2)]
    assert runs[0] == runs[1]

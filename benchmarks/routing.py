"""Simulated hours of traffic: what clients notice when the best provider fails, and what learning costs."""

from __future__ import annotations

import argparse

from lambdas.domain.failures import Failure
from lambdas.domain.routing.ranking import SCORES
from tests.support.simulation import MINUTE, Service, Spell, simulate

START, END = 10 * MINUTE, 30 * MINUTE
FAULTS = (
    (Failure.UNAVAILABLE, 0.3),
    (Failure.THROTTLED, 0.2),
    (Failure.TIMEOUT, 15.0),
    (Failure.OUT_OF_CREDIT, 0.2),
)


def outages(seeds: int) -> None:
    """Simulate twenty minutes without the best of two providers, with one request in three seconds."""
    print("outage of 20 min     strategy   errors  returned after  calls in vain  wait p50 / p99 in it")
    for code, seconds in FAULTS:
        services = {
            "best": Service(0.01, 4, 8, spells=(Spell(START, END, code, seconds),)),
            "other": Service(0.03, 8, 6),
        }
        for strategy in SCORES:
            runs = [simulate(services, minutes=50, seed=seed, strategy=strategy) for seed in range(seeds)]
            errors = sum(run.failed for run in runs)
            back = max(run.returned_after("best", END) for run in runs)
            vain = max(sum(1 for at, name, _ in r.calls if name == "best" and START <= at < END) for r in runs)
            p50, p99 = (max(run.wait(q, START, END) for run in runs) for q in (0.5, 0.99))
            print(f"{code:20} {strategy:10} {errors:6} {back:13.0f} s {vain:14} {p50:10.1f} / {p99:.1f} s")


def learning(seeds: int) -> None:
    """Simulate an hour without faults, measured by the loss of `balanced`."""
    services = {"a": Service(0.01, 4, 7, 0.99), "b": Service(0.03, 8, 7, 0.99), "c": Service(0.05, 6, 7, 0.99)}
    runs = [simulate(services, minutes=60, seed=seed) for seed in range(seeds)]
    regret = sum(r.regret for r in runs) / sum(len(r.served) for r in runs)
    best = sum(r.share("a", 0, 3600) for r in runs) / len(runs)
    print(f"\nbalanced, no faults: {best:.1%} of requests to the best, regret {regret * 100:.3f} cents per request")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="runs of each scene")
    asked = parser.parse_args()
    outages(asked.seeds)
    learning(asked.seeds)

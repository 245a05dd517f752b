"""Twenty minutes without the best provider, on a virtual clock: clients notice only the wait.

Requests come through the API one after the other; what providers do takes simulated time.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from types import SimpleNamespace
from typing import Any

import pytest

from lambdas.domain import catalogue
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.request import GeneratedImage, ImageTask
from lambdas.usecases.images.candidates import PATIENCE, PATIENCE_SECONDS
from lambdas.usecases.jobs import submit_job
from tests.api.client import Client
from tests.support.fakes import FakeClock, FakeProviders, Fakes

BEST = "runware_ai"
SECONDS = {BEST: 4.0, "gemini": 8.0, "bedrock": 6.0}
MINUTE = 60.0
BEGINS, ENDS, LATEST = 5 * MINUTE, 25 * MINUTE, 37 * MINUTE
MAX_SECONDS = 1.2 * max(SECONDS.values())


def unavailable(_clock: FakeClock, _timeout: float) -> GeneratedImage:
    raise ProviderFailure(Failure.UNAVAILABLE, "it is not available now")


def throttled(_clock: FakeClock, _timeout: float) -> GeneratedImage:
    raise ProviderFailure(Failure.THROTTLED, "it is throttling this account", retry_after=30)


def hang(clock: FakeClock, timeout: float) -> GeneratedImage:
    clock.sleep(timeout)
    raise ProviderFailure(Failure.TIMEOUT, "it did not answer", paid="unknown")


def out_of_credit(_clock: FakeClock, _timeout: float) -> GeneratedImage:
    raise ProviderFailure(Failure.OUT_OF_CREDIT, "the account is empty")


def bad_answer(clock: FakeClock, _timeout: float) -> GeneratedImage:
    clock.sleep(SECONDS[BEST])
    return GeneratedImage(b"<html>Sign in to the network</html>")


KINDS: dict[str, tuple[Callable[[FakeClock, float], GeneratedImage], str]] = {
    "bad_answer": (bad_answer, "bad_answer"),
    "hang": (hang, "timeout"),
    "out_of_credit": (out_of_credit, "out_of_credit"),
    "throttled": (throttled, "throttled"),
    "unavailable": (unavailable, "unavailable"),
}
# How often the best may be called in the 20 minutes: until its cooldown, then by probes further and further apart.
MAX_CALLS = 20
WISHES = [{"strategy": "balanced"}] * 6 + [{}, {"strategy": "cheapest"}, {"strategy": "fastest"}, {"provider": BEST}]


@dataclass
class Simulated:
    """A provider that paints in about `seconds` and, while it is `down`, does that instead."""

    clock: FakeClock
    die: random.Random
    seconds: float
    down: Callable[[FakeClock, float], GeneratedImage] | None = None
    called_at: list[float] = field(default_factory=list)

    def paint(self, order: ImageTask, timeout: float) -> GeneratedImage:
        self.called_at.append(self.clock.now())
        if self.down:
            self.clock.sleep(0.2)
            return self.down(self.clock, timeout)
        self.clock.sleep(self.seconds * self.die.uniform(0.8, 1.2))
        return GeneratedImage(b"%dx%d:x" % order.generate, order.seed)


@dataclass(frozen=True)
class Seen:
    """One request: when it was made, how long it took, what came, and the best provider's state after it."""

    at: float
    wait: float
    status: int
    body: dict[str, Any]
    state: str

    @property
    def attempts(self) -> list[tuple[str, str | None]]:
        return [(a["provider"], a["error_code"]) for a in self.body["metadata"]["attempts"]]


def lived(kind: str, seed: int, patch: pytest.MonkeyPatch) -> tuple[list[Seen], dict[str, Simulated]]:
    """All requests of the simulation."""
    die = random.Random(seed)
    patch.setattr(submit_job, "random", SimpleNamespace(Random=lambda: die))
    clock = FakeClock()
    start = clock.now()
    providers = {name: Simulated(clock, die, seconds) for name, seconds in SECONDS.items()}
    client = Client(Fakes(clock=clock, providers=FakeProviders(**providers)))
    seen: list[Seen] = []
    while (at := clock.now() - start) < LATEST:
        providers[BEST].down = KINDS[kind][0] if BEGINS <= at < ENDS else None
        answer = client("POST", "/unified/generate", {"prompt": "A fox", **die.choice(WISHES)})
        wait = clock.now() - start - at
        rows = client("GET", "/unified/providers").json()["providers"]
        state = next(row["status"] for row in rows if row["id"] == BEST)
        seen.append(Seen(at, wait, answer.status, answer.json(), state))
        clock.sleep(die.expovariate(1 / 3.0))
    return seen, providers


def share(seen: list[Seen], start: float, end: float) -> float:
    within = [s for s in seen if start <= s.at < end]
    return [s.body["provider"] for s in within].count(BEST) / len(within)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("seed", [1, 2])
def test_an_outage_of_the_best_provider(kind: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, providers = lived(kind, seed, monkeypatch)
    during = [s for s in seen if BEGINS <= s.at < ENDS]
    assert len(during) > 60

    # no client gets an error, and the receipt says of each who failed it and why
    assert {s.status for s in seen} == {200}
    for s in seen:
        assert [code for _, code in s.attempts[:-1]] == [KINDS[kind][1]] * (len(s.attempts) - 1)
        assert s.attempts[-1] == (s.body["provider"], None)
    asked = [provider for s in seen for provider, _ in s.attempts]
    assert {name: asked.count(name) for name in providers} == {n: len(p.called_at) for n, p in providers.items()}

    # the wait is bounded: the patience for one that does not answer, and then another's own time
    typical = catalogue.cards_of(BEST)[0].typical_seconds
    patience = max(PATIENCE_SECONDS[0], min(PATIENCE_SECONDS[1], PATIENCE * typical))
    lost = {"hang": 0.2 + patience, "bad_answer": 0.2 + SECONDS[BEST]}.get(kind, 0.2)
    assert max(s.wait for s in seen) <= lost + MAX_SECONDS + 0.01
    assert lost + MAX_SECONDS < 29  # also by the gateway's clock

    # few clients pay for it in time, and when it is over the traffic comes back
    calls = sum(len(s.attempts) > 1 for s in during)
    assert 1 <= calls <= MAX_CALLS
    assert share(seen, 0, BEGINS) > 0.6
    assert share(seen, BEGINS + MINUTE, ENDS) == 0
    assert share(seen, LATEST - 5 * MINUTE, LATEST) > 0.6

    # and the state is there to see
    assert {s.state for s in seen if s.at < BEGINS} == {"available"}
    states = [state for state, _ in groupby(s.state for s in seen)]
    assert "cooling_down" in states
    assert (states[0], states[-1]) == ("available", "available")
    first = next(s for s in seen if s.state == "cooling_down")
    assert BEGINS <= first.at < BEGINS + 2 * MINUTE
    well = next(s for s in seen if s.at > ENDS and s.state == "available")
    assert well.at < LATEST - 2 * MINUTE

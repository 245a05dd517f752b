"""Hours of traffic in a second: clients, functions with their own memory, and providers that fail on schedule."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from lambdas.domain.catalogue import CARDS
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.failures import Failure, Paid
from lambdas.domain.jobs.request import Strategy
from lambdas.domain.routing.fallback import candidates, may_fall_back
from lambdas.domain.routing.health import Health, NoFailure, Seen, may_call
from lambdas.domain.routing.ranking import FAILURE_USD, POINT_USD, SECOND_USD, rank
from tests.support.fakes import FakeHealth

MINUTE = 60.0
START = 1_790_000_000.0
MEMORY_SECONDS = 3.0  # as the adapter's


@dataclass(frozen=True)
class Spell:
    """From `start` to `end` (seconds of the simulation), every call ends in `code` after `seconds`."""

    start: float
    end: float
    code: Seen = Failure.UNAVAILABLE
    seconds: float = 0.3


@dataclass(frozen=True)
class Service:
    """A provider. `slow` are times (start, end) in which it takes `factor` times as long."""

    price: float
    seconds: float
    quality: int = 5
    success: float = 1.0
    spells: tuple[Spell, ...] = ()
    slow: tuple[float, float] = (math.inf, math.inf)
    factor: float = 1.0
    said: float | None = None  # the card's typical_seconds, where they are not the truth

    def card(self, name: str) -> ModelCard:
        return replace(
            CARDS[0],
            id=f"{name}-1",
            provider=name,
            price_usd=self.price,
            quality=self.quality,
            typical_seconds=self.said or self.seconds,
        )

    def call(self, at: float, rng: random.Random) -> tuple[Seen, float]:
        """How a call begun at that second ends, and how long it takes."""
        for spell in self.spells:
            if spell.start <= at < spell.end:
                return spell.code, spell.seconds
        factor = self.factor if self.slow[0] <= at < self.slow[1] else 1.0
        seconds = self.seconds * factor * math.exp(rng.gauss(0, 0.25))
        return (NoFailure.SUCCESS, seconds) if rng.random() < self.success else (Failure.FAILED, seconds / 2)

    def loss(self, at: float) -> float:
        """The expected loss of a call, by ranking's own measure."""
        for spell in self.spells:
            if spell.start <= at < spell.end:
                return FAILURE_USD + SECOND_USD * spell.seconds
        factor = self.factor if self.slow[0] <= at < self.slow[1] else 1.0
        fails = 1 - self.success
        return self.price + SECOND_USD * self.seconds * factor - POINT_USD * self.quality + fails * FAILURE_USD


@dataclass
class Run:
    """What happened: `served` has (begun at, provider, seconds waited), `calls` has (at, provider, code)."""

    served: list[tuple[float, str, float]] = field(default_factory=list)
    calls: list[tuple[float, str, str]] = field(default_factory=list)
    failed: int = 0
    regret: float = 0.0  # USD of expected loss over always calling the best

    def share(self, provider: str, start: float, end: float) -> float:
        within = [name for at, name, _ in self.served if start <= at < end]
        return within.count(provider) / len(within) if within else 0.0

    def wait(self, quantile: float, start: float = 0.0, end: float = math.inf) -> float:
        waits = sorted(wait for at, _, wait in self.served if start <= at < end)
        return waits[int(quantile * (len(waits) - 1))]

    def returned_after(self, provider: str, since: float) -> float:
        """Seconds from `since` until the provider had served half of the requests for a minute."""
        for minute in range(60):
            if self.share(provider, since + minute * 10, since + minute * 10 + MINUTE) >= 0.5:
                return minute * 10.0
        return math.inf


def simulate(
    services: Mapping[str, Service],
    *,
    minutes: float,
    seed: int,
    strategy: Strategy = "balanced",
    every: float = 3.0,
    functions: int = 4,
    weights: Mapping[str, float] | None = None,
) -> Run:
    """Requests come at random, one in `every` seconds on average, to functions that share only the stored health."""
    rng = random.Random(seed)
    cards = [service.card(name) for name, service in services.items()]
    store, run = FakeHealth(), Run()
    memories: list[tuple[float, dict[str, Health]]] = [(-math.inf, {}) for _ in range(functions)]

    def snapshot(function: int, at: float) -> dict[str, Health]:
        if at - memories[function][0] >= MEMORY_SECONDS:
            memories[function] = (at, store.snapshot())
        return memories[function][1]

    def request(begun: float, function: int) -> Iterator[float]:
        at, losses = begun, 0
        seen = snapshot(function, at)
        ranking = rank(cards, seen, strategy, START + at, rng, weights)
        for card in candidates(None, "auto", True, ranking):
            verdict = may_call(snapshot(function, at).get(card.provider, Health()), START + at, card.id)
            if verdict == "no" or (verdict == "probe" and not store.claim_probe(card.provider, START + at)):
                continue
            code, seconds = services[card.provider].call(at, rng)
            run.calls.append((at, card.provider, code))
            run.regret += services[card.provider].loss(at) - min(s.loss(at) for s in services.values())
            at += seconds
            yield at
            cost = card.price_usd if code == NoFailure.SUCCESS else 0.0
            store.observe(card.provider, card.id, code, seconds, cost, START + at)
            if code == NoFailure.SUCCESS:
                run.served.append((begun, card.provider, at - begun))
                return
            assert isinstance(code, Failure), code
            paid: Paid = "unknown" if code in (Failure.TIMEOUT, Failure.OUTCOME_UNKNOWN) else "no"
            if not may_fall_back(code, paid, losses):
                break
            losses += paid == "unknown"
        run.failed += 1

    events: list[tuple[float, int, Iterator[float]]] = []
    at, number = 0.0, 0
    while at < minutes * MINUTE:
        heapq.heappush(events, (at, number, request(at, rng.randrange(functions))))
        at, number = at + rng.expovariate(1 / every), number + 1
    while events:
        _, number, going = heapq.heappop(events)
        following = next(going, None)
        if following is not None:
            heapq.heappush(events, (following, number, going))
    return run

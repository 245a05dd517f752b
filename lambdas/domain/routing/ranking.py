"""Orders models by the observed performance of their providers.

The strategy `balanced` is a Thompson sampler: for each provider it draws the outcome of the next call (success,
duration) within the uncertainty that the observations leave, and takes the provider with the least loss. A provider
with many observations is drawn near them; one with few or old observations is drawn widely, and so gets a call now and
then. The loss is in USD, so that its parts can be argued about:

    loss = price  +  SECOND_USD x seconds  +  P(failure) x (FAILURE_USD + SECOND_USD x seconds lost)
           -  POINT_USD x quality

- SECOND_USD: one second of waiting is worth 0.2 cents. Ten seconds weigh two cents, the step from a cheap image model
  to a middling one: nobody waits ten seconds more to save less than that.
- FAILURE_USD: a failure costs ten cents beside its time. With any healthy provider available, one that fails half of
  its calls must not win by being cheap.
- POINT_USD: a point of quality (of ten) is worth 0.4 cents, so a model four points better may cost 1.6 cents more.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.jobs.request import Strategy
from lambdas.domain.routing.health import HALF_LIFE, Health, faded, free_at, may_call

SECOND_USD: Final = 0.002
FAILURE_USD: Final = 0.10
POINT_USD: Final = 0.004
# Before any observation: 19 of 20 calls succeed, and that assumption weighs as much as two calls.
PRIOR_SUCCESSES: Final = 1.9
PRIOR_FAILURES: Final = 0.1
PRIOR_CALLS: Final = 2.0  # the weight of a card's typical_seconds against observed seconds
PRIOR_SPREAD: Final = 0.5  # of the logarithm of the seconds, before any observation
MAX_CALLS: Final = 30.0  # more calls than this add no certainty, so that a busy provider, too, is left now and then

Score = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """`ready` is in the order of use, one model per provider; `spare` are the ready providers' other models.

    `resting` may not be called before `free_at` (Unix seconds of the earliest of them; `None` if none rests). A ready
    provider whose cooldown is over must be claimed (ports.ProviderHealth.claim_probe) before it is called.
    """

    ready: tuple[ModelCard, ...]
    spare: tuple[ModelCard, ...]
    resting: tuple[ModelCard, ...]
    free_at: float | None


def rank(
    cards: Sequence[ModelCard],
    healths: Mapping[str, Health],
    strategy: Strategy,
    now: float,
    rng: random.Random,
    weights: Mapping[str, float] | None = None,
    losses: Mapping[str, int] | None = None,
) -> Ranking:
    """Order the models that could serve a request.

    `cards` are in the catalogue's order, a provider's default first. `weights` are shares of traffic by provider, and
    precede the strategy: a provider with twice the weight comes first twice as often; one without a weight, or with 0,
    comes after those. `losses` is how much of the request each model (by id) would drop: models that drop less come
    first, whatever the strategy; among equals, models that are asleep come last.
    """
    losses = losses or {}
    resting = [c for c in cards if may_call(_health(healths, c), now, c.id) == "no"]
    callable_now = [c for c in cards if c not in resting]
    contenders = _defaults(callable_now, losses) if strategy == "balanced" else callable_now
    shares = _draws(weights, contenders, rng)
    scores = {c.id: SCORES[strategy](c, _Seen.of(_health(healths, c), c, now), rng) for c in contenders}
    ready: dict[str, ModelCard] = {}

    def rank_of(card: ModelCard) -> tuple[float, bool, float, Score]:
        asleep = now < _health(healths, card).asleep_until
        return losses.get(card.id, 0), asleep, shares.get(card.provider, math.inf), scores[card.id]

    for card in sorted(contenders, key=rank_of):
        ready.setdefault(card.provider, card)
    return Ranking(
        ready=tuple(ready.values()),
        spare=tuple(c for c in callable_now if c not in ready.values()),
        resting=tuple(resting),
        free_at=min((free_at(_health(healths, c), now, c.id) for c in resting), default=None),
    )


def expected_seconds(health: Health, card: ModelCard, now: float) -> float:
    """Return the typical seconds of the model's next call: observed ones, and the catalogue's where there are few."""
    return math.exp(_Seen.of(health, card, now).log_seconds)


def _health(healths: Mapping[str, Health], card: ModelCard) -> Health:
    return healths.get(card.provider, Health())


def _defaults(cards: Sequence[ModelCard], losses: Mapping[str, int]) -> list[ModelCard]:
    """Return each provider's default model, or the first that drops less: `balanced` chooses among providers."""
    first: dict[str, ModelCard] = {}
    for card in sorted(cards, key=lambda c: losses.get(c.id, 0)):
        first.setdefault(card.provider, card)
    return list(first.values())


def _draws(weights: Mapping[str, float] | None, cards: Sequence[ModelCard], rng: random.Random) -> dict[str, float]:
    """Draw a number for each provider; the probability of the least one is proportional to the weight."""
    racing = {c.provider: (weights or {}).get(c.provider, 0.0) for c in cards}
    return {provider: rng.expovariate(weight) for provider, weight in racing.items() if weight > 0}


@dataclass(frozen=True, slots=True)
class _Seen:
    """The estimate of the next call to a model, of observations and a prior."""

    successes: float  # of the provider's calls, with the prior; the parameters of a Beta distribution
    failures: float
    log_seconds: float  # mean of the logarithm of the seconds
    spread: float  # its standard deviation among calls
    seen: float  # the weight of the observed seconds
    lost_seconds: float  # of a failure
    paid: float  # USD per image, its share of paid failures included
    due: bool  # a cooldown is over, and no call was tried yet

    @classmethod
    def of(cls, health: Health, card: ModelCard, now: float) -> _Seen:
        due = may_call(health, now, card.id) == "probe"
        health = faded(health, now)
        if due:  # assumed healthy, otherwise its failures would prevent the probe
            health = replace(health, failures=0.0, lost_seconds=0.0)
        calls = health.successes + health.failures
        certain = min(1.0, MAX_CALLS / calls) if calls else 1.0
        seconds = [
            (0.5 ** ((now - when) / HALF_LIFE), math.log(max(s, 0.001)))
            for when, s, m in health.latencies
            if m == card.id
        ]
        prior = math.log(card.typical_seconds)
        weight = sum(w for w, _ in seconds)
        total = weight + PRIOR_CALLS
        mean = (sum(w * x for w, x in seconds) + PRIOR_CALLS * prior) / total
        variance = (sum(w * (x - mean) ** 2 for w, x in seconds) + PRIOR_CALLS * PRIOR_SPREAD**2) / total
        return cls(
            successes=health.successes * certain + PRIOR_SUCCESSES,
            failures=health.failures * certain + PRIOR_FAILURES,
            log_seconds=mean,
            spread=math.sqrt(variance),
            seen=min(weight, MAX_CALLS),
            lost_seconds=(health.lost_seconds + PRIOR_FAILURES * card.typical_seconds)
            / (health.failures + PRIOR_FAILURES),
            paid=(health.cost_usd + PRIOR_CALLS * card.price_usd) / (health.successes + PRIOR_CALLS),
            due=due,
        )

    @property
    def chance(self) -> float:
        """The probability that the call succeeds."""
        return self.successes / (self.successes + self.failures)


def _cheapest(card: ModelCard, seen: _Seen, _rng: random.Random) -> Score:
    """Order by price, then by the real cost of an image, then by time."""
    return card.price_usd, round(seen.paid, 4), seen.log_seconds


def _fastest(_card: ModelCard, seen: _Seen, _rng: random.Random) -> Score:
    """Order by the expected time until there is an image, with the time lost on failures before it."""
    return (math.exp(seen.log_seconds) + (1 / seen.chance - 1) * seen.lost_seconds,)


def _quality(card: ModelCard, seen: _Seen, _rng: random.Random) -> Score:
    """Order by quality, then by price, then by reliability."""
    return -card.quality, card.price_usd, -seen.chance


def _balanced(card: ModelCard, seen: _Seen, rng: random.Random) -> Score:
    """Order by the drawn loss. A provider due for its probe comes first: one caller claims it, others skip it."""
    fails = 1 - rng.betavariate(seen.successes, seen.failures)
    seconds = math.exp(rng.gauss(seen.log_seconds, seen.spread / math.sqrt(seen.seen + PRIOR_CALLS)))
    loss = card.price_usd + SECOND_USD * seconds - POINT_USD * card.quality
    return (-math.inf if seen.due else loss + fails * (FAILURE_USD + SECOND_USD * seen.lost_seconds),)


SCORES: Final[dict[Strategy, Callable[[ModelCard, _Seen, random.Random], Score]]] = {
    "balanced": _balanced,
    "fastest": _fastest,
    "cheapest": _cheapest,
    "quality": _quality,
}

"""Keeps the recent statistics of a provider, and decides whether it may be called now.

Counts decay with a half-life, so old observations weigh little. Repeated failures begin a cooldown without calls; then
one call of all functions is the probe, and its success ends the cooldown for all.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final, Literal

from lambdas.domain.failures import CONSEQUENCES, Failure, HealthEffect

HALF_LIFE: Final = 600.0  # seconds, of a count's weight
KEPT: Final = 40  # latest successes whose seconds are remembered
KEPT_SECONDS: Final = 3600.0
TRIP_AFTER: Final = 4  # consecutive failures that begin a cooldown: one more than the tries of one image
MIN_COOLDOWN: Final = 15.0  # doubled after each failed probe
MAX_COOLDOWN: Final = 300.0
PROBE_SECONDS: Final = 60.0  # after which another caller may probe
ENOUGH: Final = 3.0  # decayed calls; a success rate of fewer is ignored
SOUND: Final = 0.8  # a lower success rate is `degraded`
ASLEEP_SECONDS: Final = 60.0  # for which other providers are preferred

Status = Literal["available", "degraded", "cooling_down"]


class NoFailure(StrEnum):
    """How a call may end other than by a failure."""

    SUCCESS = "success"
    ASLEEP = "asleep"  # it accepted the work and was left, because others may give the image sooner


Seen = NoFailure | Failure


@dataclass(frozen=True, slots=True)
class Health:
    """One provider's statistics. Times are Unix seconds; counts are as they were at `updated`."""

    successes: float = 0.0
    failures: float = 0.0  # those of probes not counted
    cost_usd: float = 0.0  # of all these calls, decaying like the counts
    lost_seconds: float = 0.0  # of the failures, decaying likewise
    latencies: tuple[tuple[float, float, str], ...] = ()  # of successes: when, seconds, model; oldest first
    gone: tuple[tuple[str, float], ...] = ()  # missing models, and until when each is not called
    streak: int = 0  # failures since the last success
    cooldowns: int = 0  # consecutive ones; halved by each success
    cooldown_until: float = 0.0  # 0: none, or ended by a success
    probe_until: float = 0.0  # 0: no probe is in progress
    asleep_until: float = 0.0
    updated: float = 0.0

    @property
    def success_rate(self) -> float | None:
        """The success rate of the decayed calls; `None` without calls."""
        calls = self.successes + self.failures
        return self.successes / calls if calls > 1e-6 else None

    def latency(self, quantile: float, now: float) -> float | None:
        """Return a quantile (0 to 1) of the seconds of the latest successes; `None` without any."""
        seconds = sorted(s for when, s, _ in self.latencies if now - when <= KEPT_SECONDS)
        return seconds[min(int(quantile * len(seconds)), len(seconds) - 1)] if seconds else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for storage."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Health:
        latencies = tuple((float(when), float(s), str(model)) for when, s, model in data.get("latencies", ()))
        gone = tuple((str(model), float(until)) for model, until in data.get("gone", ()))
        return cls(**{**data, "latencies": latencies, "gone": gone})


def faded(health: Health, now: float) -> Health:
    """Return the health with its counts decayed to `now`."""
    weight: float = 0.5 ** (max(0.0, now - health.updated) / HALF_LIFE)
    return replace(
        health,
        successes=health.successes * weight,
        failures=health.failures * weight,
        cost_usd=health.cost_usd * weight,
        lost_seconds=health.lost_seconds * weight,
        updated=max(now, health.updated),
    )


def observed(health: Health, seen: Seen, seconds: float, cost: float, now: float, model: str = "") -> Health:
    """Return the health after a call that ended at `now` as `seen`."""
    health = faded(health, now)
    if seen is NoFailure.ASLEEP:  # no failure: else requests for this provider alone would be refused
        return replace(health, asleep_until=now + ASLEEP_SECONDS, streak=0, cooldown_until=0.0, probe_until=0.0)
    if seen is NoFailure.SUCCESS:
        return _succeeded(health, seconds, cost, now, model)
    effect = CONSEQUENCES[seen].health
    if effect is HealthEffect.NOTHING:
        # no information about the provider: the next caller may probe it
        return replace(health, cost_usd=health.cost_usd + cost, probe_until=0.0)
    if effect is HealthEffect.MODEL:
        left_alone = tuple((m, until) for m, until in health.gone if m != model and until > now)
        return replace(health, gone=(*left_alone, (model, now + MAX_COOLDOWN)), probe_until=0.0)
    tried_again = 0 < health.cooldown_until <= now
    if not tried_again:  # failed probes are not counted, as they would outweigh the recovery
        health = replace(health, failures=health.failures + 1, lost_seconds=health.lost_seconds + seconds)
    health = replace(health, cost_usd=health.cost_usd + cost, streak=health.streak + 1)
    if effect is HealthEffect.SHUT:
        return replace(health, cooldown_until=now + MAX_COOLDOWN, probe_until=0.0)
    if tried_again or (not health.cooldown_until and health.streak >= TRIP_AFTER):
        pause = min(MIN_COOLDOWN * 2**health.cooldowns, MAX_COOLDOWN)
        cooldowns = min(health.cooldowns + 1, 10)
        return replace(health, cooldowns=cooldowns, cooldown_until=now + pause, probe_until=0.0)
    return health  # a first failure, or a call that began before the cooldown


def _succeeded(health: Health, seconds: float, cost: float, now: float, model: str) -> Health:
    kept = [seen for seen in health.latencies if now - seen[0] <= KEPT_SECONDS]
    return replace(
        health,
        successes=health.successes + 1,
        cost_usd=health.cost_usd + cost,
        latencies=(*kept, (round(now, 1), round(seconds, 3), model))[-KEPT:],
        gone=tuple((m, until) for m, until in health.gone if m != model and until > now),
        streak=0,
        cooldowns=health.cooldowns // 2,
        cooldown_until=0.0,
        probe_until=0.0,
        asleep_until=0.0,
    )


def status(health: Health, now: float) -> Status:
    """Return the status; `degraded`: it may be called, but fails often, or its cooldown is over without a probe yet."""
    if now < health.cooldown_until:
        return "cooling_down"
    if health.cooldown_until or health.streak >= 2:
        return "degraded"
    recent = faded(health, now)
    rate = recent.success_rate
    enough = recent.successes + recent.failures >= ENOUGH
    return "degraded" if enough and rate is not None and rate < SOUND else "available"


def may_call(health: Health, now: float, model: str = "") -> Literal["yes", "probe", "no"]:
    """Return whether a call may be made; `probe`: only by the one caller who claims it."""
    if now < health.cooldown_until or any(m == model and now < until for m, until in health.gone):
        return "no"
    if not health.cooldown_until:
        return "yes"
    return "no" if now < health.probe_until else "probe"


def probing(health: Health, now: float) -> Health:
    """Return the health while a probe is in progress."""
    return replace(health, probe_until=now + PROBE_SECONDS)


def free_at(health: Health, now: float, model: str = "") -> float:
    """Return when the provider may be called again, as far as is known now."""
    missing = [until for m, until in health.gone if m == model]
    trying = [health.probe_until] if health.cooldown_until else []
    return max(now, health.cooldown_until, *missing, *trying)

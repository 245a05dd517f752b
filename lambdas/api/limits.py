"""The rate of a tenant's requests that generate, write or cost, and the headers that tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lambdas.api.call import Call
from lambdas.domain.errors import BudgetExceeded, RateLimited, ServiceError
from lambdas.domain.limits.budget import MICROUSD
from lambdas.domain.limits.rate import Verdict

if TYPE_CHECKING:
    from lambdas.api.route import Route

NAMES = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
Headers = dict[str, str]


def admit(call: Call, route: Route, cost: int) -> Headers:
    """Let the request through and return the headers of its answer. Raises RateLimited, with them.

    A request that was answered before under its Idempotency-Key makes nothing, and is let through in any case; so is a
    repetition that takes up the job of an earlier sending.
    """
    if not route.counts:
        return {}
    verdict = call.deps.limits.admit(call.tenant, cost, call.deps.clock.now())
    if verdict is None:
        return {}
    headers = _headers(verdict.limit, verdict.remaining, verdict.reset)
    if verdict.retry_after is not None and not (_answered_before(call, route) or _takes_up(call, route)):
        call.deps.meter.rate_limited()
        raise RateLimited(_reason(verdict, cost), retry_after=verdict.retry_after, headers=headers)
    return headers


def count(call: Call) -> Headers:
    """Count what a request that only reads has to compute. Raises RateLimited."""
    verdict = call.deps.limits.admit(call.tenant, 1, call.deps.clock.now())
    if verdict is None:
        return {}
    headers = _headers(verdict.limit, verdict.remaining, verdict.reset)
    if verdict.retry_after is not None:
        call.deps.meter.rate_limited()
        raise RateLimited(_reason(verdict, 1), retry_after=verdict.retry_after, headers=headers)
    return headers


def _takes_up(call: Call, route: Route) -> bool:
    if not (route.repeatable and call.repetition) or "idempotency-key" in call.headers:
        return False
    from lambdas.domain.jobs.asked import FAILED, to_take_up

    now = call.deps.clock.now()
    found = to_take_up(call.deps.jobs.asked(call.tenant, call.fingerprint, now), call.sending(), now)
    return bool(found) and found[0].state != FAILED  # in place of one that failed another is made


def _answered_before(call: Call, route: Route) -> bool:
    caller = call.caller() if route.generates else None
    if caller is None or caller.idempotency_key is None:
        return False
    used = call.deps.jobs.used(call.tenant, caller.idempotency_key, call.deps.clock.now())
    return used is not None and used.fingerprint == caller.fingerprint


def of_budget(error: ServiceError, call: Call) -> Headers:
    """For a request that the month's budget refused: that budget, in US cents or else in images."""
    if not isinstance(error, BudgetExceeded):
        return {}
    caps = call.deps.caps
    return _headers(caps.microusd * 100 // MICROUSD or caps.images, 0, error.retry_after or 0)


def _reason(verdict: Verdict, cost: int) -> str:
    if cost > verdict.limit:
        return f"{cost} requests at once are more than the {verdict.limit} a minute that are allowed; send fewer"
    return f"{verdict.limit} requests a minute are allowed; try again in {verdict.retry_after} s"


def _headers(*values: int) -> Headers:
    return {name: str(value) for name, value in zip(NAMES, values, strict=True)}

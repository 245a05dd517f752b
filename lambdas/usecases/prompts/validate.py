"""Preview how a prompt would be shortened, and book the cost of a paid model in the tenant's month."""

from __future__ import annotations

import logging

from lambdas.domain.errors import Unavailable
from lambdas.domain.limits.budget import microusd
from lambdas.usecases.deps import Deps
from lambdas.usecases.prompts.optimize import Optimized, ceiling, optimize

log = logging.getLogger(__name__)


def validate_prompt(tenant: str, prompt: str, seconds: float, deps: Deps) -> Optimized:
    """Raises BudgetExceeded before a paid model is asked, if the month has no room for the call.

    Its maximum cost is held before the call. If the process dies or the books are unavailable after it, the hold stays,
    a fraction of a cent, because the call may have been charged.
    """
    at = deps.clock.now()
    held = 0

    def paying() -> None:
        nonlocal held
        if deps.caps.microusd and not held:
            most = microusd(sum(ceiling(engine, prompt) for engine in deps.engines))
            deps.books.hold(tenant, at, most, deps.caps)
            held = most

    done = optimize(prompt, deps.engines, deps.clock, seconds, paying)
    spent, lost = microusd(done.cost_usd), microusd(done.lost_usd)
    for bill in done.bills:
        if bill.cost_usd:
            deps.meter.cost(bill.provider, bill.model, bill.cost_usd)
    if held or spent or lost:
        try:
            deps.books.settle(tenant, at, held, spent, lost)
        except Unavailable:
            log.error("the cost of a prompt was not booked: %d micro-dollars", spent)
    return done

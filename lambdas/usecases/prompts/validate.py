"""Show what a prompt would be shortened to; where a paid model does it, the tenant's month pays for it."""

from __future__ import annotations

import logging

from lambdas.domain.errors import Unavailable
from lambdas.domain.limits.budget import microusd
from lambdas.usecases.deps import Deps
from lambdas.usecases.prompts.optimize import Optimized, ceiling, optimize

log = logging.getLogger(__name__)


def validate_prompt(tenant: str, prompt: str, seconds: float, deps: Deps) -> Optimized:
    """Raises BudgetExceeded where a paid model is about to be asked and the month has no room for its call.

    The most that it can cost is held before the call. Where the process is killed in between, or the books cannot be
    reached after it, that stays held, a fraction of a cent: the call may have been charged.
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

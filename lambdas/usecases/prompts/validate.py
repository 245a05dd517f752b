"""Preview how a prompt would be shortened, and book the cost of a paid model in the tenant's month."""

from __future__ import annotations

import logging
from collections import Counter

from lambdas.domain import analytics
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
    saved = None if done.method == "none" else max(0, len(prompt) - len(done.text))
    costs: Counter[str] = Counter()
    for bill in done.bills:
        costs[bill.provider] += microusd(bill.cost_usd)
    sums = analytics.of_prompt(at, costs, saved)
    if held or spent or lost or sums:
        try:
            deps.books.settle(tenant, at, held, spent, lost, sums)
        except Unavailable:
            log.error("the cost of a prompt was not booked: %d micro-dollars", spent)
    return done

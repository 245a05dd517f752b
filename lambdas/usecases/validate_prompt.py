"""Show what a prompt would be shortened to; where a paid model does it, the tenant's month pays for it."""

from __future__ import annotations

from lambdas.domain.budget import microusd
from lambdas.usecases.deps import Deps
from lambdas.usecases.optimize_prompt import Optimized, optimize


def validate_prompt(tenant: str, prompt: str, seconds: float, deps: Deps) -> Optimized:
    """Raises BudgetExceeded where a paid model is about to be asked and the month has no room for its call.

    The most that it can cost is held before the call. A process that is killed in between leaves that held, a fraction
    of a cent: the call may have been charged.
    """
    at = deps.clock.now()
    held = 0

    def paying(most: float) -> None:
        nonlocal held
        amount = microusd(most)
        if deps.caps.microusd:
            deps.books.hold(tenant, at, amount, deps.caps)
            held += amount

    done = optimize(prompt, deps.engines, deps.clock, seconds, paying)
    spent, lost = microusd(done.cost_usd), microusd(done.lost_usd)
    for bill in done.bills:
        if bill.cost_usd:
            deps.meter.cost(bill.provider, bill.model, bill.cost_usd)
    if held or spent or lost:
        deps.books.settle(tenant, at, held, spent, lost)
    return done

"""What a request would come to, and what is left of the month's budget."""

from __future__ import annotations

from lambdas.api.answer import Answer, json_answer
from lambdas.api.call import Call
from lambdas.api.route import BodyRoute, PlainRoute, Route
from lambdas.api.schemas.plan import BudgetView, PlanView
from lambdas.api.schemas.unified import UnifiedBody
from lambdas.domain.limits import budget
from lambdas.usecases.jobs.preview import preview


def _plan(call: Call, body: UnifiedBody) -> Answer:
    return json_answer(PlanView.of(preview(body.to_draft(), call.tenant, call.deps)))


def _budget(call: Call) -> Answer:
    now = call.deps.clock.now()
    committed = call.deps.books.committed(call.tenant, now)
    return json_answer(BudgetView.of(budget.month(now), call.deps.caps, committed))


ROUTES: tuple[Route, ...] = (
    BodyRoute(
        method="POST",
        path="/unified/plan",
        summary="Which models would be asked for a request, and what it would cost; nothing is made",
        handle=_plan,
        answers={200: PlanView},
        body=UnifiedBody,
        errors=(400, 413, 415, 500, 503),
        tag="unified",
        reads=True,
    ),
    PlainRoute(
        method="GET",
        path="/unified/budget",
        summary="What of the month's budget is spent, reserved and left",
        handle=_budget,
        answers={200: BudgetView},
        errors=(500, 503),
        tag="unified",
    ),
)

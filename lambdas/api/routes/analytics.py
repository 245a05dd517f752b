"""The report of a tenant's work."""

from __future__ import annotations

from lambdas.api.answer import Answer
from lambdas.api.call import Call
from lambdas.api.route import QueryRoute, Route
from lambdas.api.schemas.analytics import AnalyticsQuery, AnalyticsView, to_csv
from lambdas.usecases.report import days_of, report, rows_of


def _report(call: Call, query: AnalyticsQuery) -> Answer:
    days = days_of(*query.days(), call.deps)
    if query.format == "csv":
        name = f"analytics-{days.first.isoformat()}-{days.last.isoformat()}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        text = to_csv(rows_of(call.tenant, days, query.project_id, call.deps))
        return Answer(200, text, "text/csv; charset=utf-8", headers)
    view = AnalyticsView.of(days, report(call.tenant, days, query.project_id, call.deps))
    return Answer(200, view.model_dump_json(by_alias=True), "application/json")


ROUTES: tuple[Route, ...] = (
    QueryRoute(
        method="GET",
        path="/unified/analytics",
        summary="What was made in some days, by whom, how fast and for how much",
        handle=_report,
        answers={200: (AnalyticsView, "text/csv")},
        query=AnalyticsQuery,
        errors=(400, 500, 503),
        tag="analytics",
    ),
)

"""Report a tenant's daily sums, and add what a prompt alone has cost to them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from lambdas.domain import analytics
from lambdas.domain.analytics import Columns, Key, Range, Report
from lambdas.domain.errors import FieldError, InvalidRequest
from lambdas.usecases.deps import Deps

DEFAULT_DAYS = 30


def days_of(first: date | None, last: date | None, deps: Deps) -> Range:
    """The days to report: the last thirty, where nothing else is asked for. Raises InvalidRequest."""
    last = last or max(first or date.min, datetime.fromtimestamp(deps.clock.now(), UTC).date())
    first = first or last - timedelta(days=DEFAULT_DAYS - 1)
    wrong = "must not be before from" if last < first else ""
    days = Range(first, last)
    if days.days > analytics.MAX_DAYS:
        wrong = f"must be at most {analytics.MAX_DAYS} days from `from`"
    if wrong:
        raise InvalidRequest(f"to: {wrong}", errors=(FieldError("to", wrong),))
    return days


def rows_of(tenant: str, days: Range, project_id: str | None, deps: Deps) -> Iterable[tuple[Key, Columns]]:
    return deps.analytics.rows(tenant, days, project_id)


def report(tenant: str, days: Range, project_id: str | None, deps: Deps) -> Report:
    """The sums of these days. Images are kept for as long as the records of their jobs."""
    since = analytics.day_of(deps.clock.now() - deps.retention_days * 86_400)
    return analytics.report(deps.analytics.rows(tenant, days, project_id), since)

"""The report of a tenant's work: for which days, and its figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Literal

from pydantic import Field

from lambdas.api.schemas.common import Query, View
from lambdas.api.schemas.jobs import LastMoment, Moment
from lambdas.domain import analytics
from lambdas.domain.analytics import Columns, Key, ProviderSums, Range, Report

FIGURES = ("attempts", "succeeded", "failed", "success_rate", "latency_p50", "latency_p95", "images", "cost_usd")


class AnalyticsQuery(Query):
    """The query of GET /unified/analytics. Days are those of UTC; a time stands for its day."""

    since: Moment = Field(None, alias="from")
    until: LastMoment = Field(None, alias="to")
    project_id: str | None = Field(None, min_length=1, max_length=63)
    format: Literal["json", "csv"] = Field("json", description="csv: one line a day, project and provider.")

    def days(self) -> tuple[date | None, date | None]:
        return _day(self.since), _day(self.until)


class TotalsView(View):
    """Of the jobs that were accepted in these days and have ended."""

    requests: int
    succeeded: int
    failed: int
    images: int = Field(description="That were made; an image from the cache is none.")
    cost_usd: float


class ProviderSumsView(View):
    id: str
    attempts: int = Field(description="Calls, those of fallbacks included.")
    succeeded: int
    failed: int
    success_rate: float = Field(description="0 to 1; 0 without an attempt.")
    latency_p50: float = Field(description="Seconds, of the calls that gave an image; at most 12 % off.")
    latency_p95: float = Field(description="The same.")
    images: int
    cost_usd: float = Field(description="What it charged, also for shortening prompts.")

    @classmethod
    def of(cls, sums: ProviderSums) -> ProviderSumsView:
        return cls(
            id=sums.id,
            attempts=sums.attempts,
            succeeded=sums.succeeded,
            failed=sums.failed,
            success_rate=round(sums.success_rate, 4),
            latency_p50=sums.latency_p50,
            latency_p95=sums.latency_p95,
            images=sums.images,
            cost_usd=sums.cost_usd,
        )


class StorageView(View):
    """The images of these days that are still there."""

    images: int
    bytes: int


class CacheView(View):
    """Requests with `cache: auto` and a seed."""

    hits: int
    misses: int


class PromptOptimizationView(View):
    count: int = Field(description="Prompts that were shortened.")
    characters_saved: int


class AnalyticsView(View):
    """What a tenant has done in some days, or a project of it."""

    since: str = Field(serialization_alias="from")
    until: str = Field(serialization_alias="to")
    totals: TotalsView
    providers: list[ProviderSumsView]
    storage: StorageView
    cache: CacheView
    prompt_optimization: PromptOptimizationView

    @classmethod
    def of(cls, days: Range, report: Report) -> AnalyticsView:
        return cls(
            since=days.first.isoformat(),
            until=days.last.isoformat(),
            totals=TotalsView(
                requests=report.requests,
                succeeded=report.succeeded,
                failed=report.failed,
                images=report.images,
                cost_usd=report.cost_usd,
            ),
            providers=[ProviderSumsView.of(sums) for sums in report.providers],
            storage=StorageView(images=report.stored_images, bytes=report.stored_bytes),
            cache=CacheView(hits=report.cache_hits, misses=report.cache_misses),
            prompt_optimization=PromptOptimizationView(count=report.prompts, characters_saved=report.characters_saved),
        )


def to_csv(rows: Iterable[tuple[Key, Columns]]) -> str:
    """One line for each day, project and provider (RFC 4180)."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(["day", "project_id", "provider", *FIGURES])
    for key, columns in rows:
        if key.provider:
            shown = ProviderSumsView.of(analytics.provider_sums(key.provider, columns)).model_dump()
            lines.writerow([key.day, key.project, key.provider, *(shown[name] for name in FIGURES)])
    return text.getvalue()


def _day(moment: float | None) -> date | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).date()

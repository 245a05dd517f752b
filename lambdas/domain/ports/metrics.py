"""The ports to a tenant's daily sums and to the counters of the whole deployment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from lambdas.domain import analytics, metrics


class Analytics(Protocol):
    """A tenant's daily sums. They are written with what they count, by the ports Jobs and Books."""

    def rows(
        self, tenant: str, days: analytics.Range, project_id: str | None
    ) -> Iterable[tuple[analytics.Key, analytics.Columns]]:
        """The rows of these days, in order; of one project where it is given."""


@dataclass(frozen=True, slots=True)
class Counted:
    """The columns of a series, and since when they are counted (Unix seconds), where that is to be told."""

    columns: metrics.Columns
    since: float | None


@dataclass(frozen=True, slots=True)
class GpuModel:
    """What the GPU worker last said of a model, at `at` (Unix seconds); `load_seconds` is None where it never did."""

    loaded: bool
    load_seconds: float | None
    at: float


@dataclass(frozen=True, slots=True)
class Figures:
    """All counters as they stand; `running` counts the jobs that somebody works on now."""

    series: Mapping[metrics.Series, Counted]
    gpu: Mapping[str, GpuModel]
    running: int


class Counters(Protocol):
    """The counters of the whole deployment. What jobs add is written with their records, by the port Jobs."""

    def request(self, series: metrics.Series, columns: metrics.Columns, now: float) -> None:
        """Add what one answered request adds. Never raises: what cannot be written is logged."""

    def unloaded(self, models: Iterable[str], now: float) -> None:
        """The GPU worker has unloaded these. Never raises."""

    def read(self, now: float) -> Figures:
        """Raises Unavailable."""

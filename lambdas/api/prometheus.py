"""The deployment's counters as Prometheus text or OpenMetrics, written by `prometheus_client`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from lambdas.domain import metrics
from lambdas.domain.metrics import MICRO, Columns
from lambdas.domain.ports.metrics import Counted, Figures

REPORT_SECONDS: Final = 900.0  # for which the GPU worker's word counts that a model is in its memory


def exposition(figures: Figures, accept: str, now: float) -> tuple[bytes, str]:
    """The text and its media type, as the header Accept asks for it."""
    encoder, media_type = choose_encoder(accept)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(figures, now, created=media_type.startswith("application/openmetrics-text")))
    return encoder(registry), media_type


class _Figures(Collector):
    """`created`: say since when a counter counts, for which the older text has no word but another gauge."""

    def __init__(self, figures: Figures, now: float, *, created: bool) -> None:
        self._figures = figures
        self._now = now
        self._created = created

    def collect(self) -> Iterator[Metric]:
        yield from self._http()
        yield from self._generations()
        yield from self._gpu()

    def _of(self, kind: metrics.Kind) -> Iterator[tuple[list[str], Counted]]:
        for (found, *labels), counted in sorted(self._figures.series.items()):
            if found == kind:
                yield labels, counted if self._created else replace(counted, since=None)

    def _http(self) -> Iterator[Metric]:
        labels = ["method", "endpoint", "status"]
        total = CounterMetricFamily("http_requests", "Answered requests.", labels=labels)
        seconds = HistogramMetricFamily(
            "http_request_duration_seconds", "From the function's start of a request to its answer.", labels=labels
        )
        limited = 0
        for series, counted in self._of("http"):
            columns = counted.columns
            total.add_metric(series, columns["count"], created=counted.since)
            seconds.add_metric(series, *_histogram(columns, "", metrics.HTTP_BUCKETS))
            limited += columns.get("rate_limited", 0)
        yield total
        yield seconds
        hits = CounterMetricFamily("rate_limit_hits", "Requests refused because their tenant makes too many.")
        hits.add_metric([], limited)
        yield hits
        active = GaugeMetricFamily("http_requests_active", "Jobs that are being run, and this request.")
        active.add_metric([], self._figures.running + 1)
        yield active

    def _generations(self) -> Iterator[Metric]:
        total = CounterMetricFamily(
            "image_generations",
            "Calls to providers, of jobs that have ended.",
            labels=["provider", "model", "status"],
        )
        seconds = HistogramMetricFamily(
            "image_generation_seconds", "Of the calls that gave an image.", labels=["provider", "model"]
        )
        for series, counted in self._of("generation"):
            for status in ("success", "failed", "refused", "unknown"):
                if count := counted.columns.get(status):
                    total.add_metric([*series, status], count, created=counted.since)
            if "success" in counted.columns:
                seconds.add_metric(series, *_histogram(counted.columns, "", metrics.GENERATION_BUCKETS))
        yield total
        yield seconds

    def _gpu(self) -> Iterator[Metric]:
        labels = ["model", "task"]
        total = CounterMetricFamily(
            "ai_bg_predictions", "Requests to the project's own GPU.", labels=[*labels, "status"]
        )
        inference = HistogramMetricFamily(
            "ai_bg_inference_duration_seconds", "From the start of its batch to pixels.", labels=labels
        )
        confidence = HistogramMetricFamily("ai_bg_prediction_confidence", "How sure a cut-out is.", labels=["model"])
        sure: dict[str, Counter[str]] = defaultdict(Counter)
        for series, counted in self._of("prediction"):
            columns = counted.columns
            for status in ("success", "error"):
                if count := columns.get(status):
                    total.add_metric([*series, status], count, created=counted.since)
            if "sum" in columns:
                inference.add_metric(series, *_histogram(columns, "", metrics.INFERENCE_BUCKETS))
            sure[series[0]].update({name: n for name, n in columns.items() if name.startswith("confidence_")})
        for model, columns in sure.items():
            if columns:
                confidence.add_metric([model], *_histogram(columns, "confidence_", metrics.CONFIDENCE_BUCKETS))
        yield total
        yield inference
        yield confidence
        load = GaugeMetricFamily("ai_bg_model_load_time_seconds", "The last load.", labels=["model"])
        loaded = GaugeMetricFamily(
            "ai_bg_model_loaded",
            "1 while the model is in memory, as the GPU said last, within a quarter of an hour.",
            labels=["model"],
        )
        for model, state in sorted(self._figures.gpu.items()):
            if state.load_seconds is not None:
                load.add_metric([model], state.load_seconds)
            if self._now - state.at <= REPORT_SECONDS:
                loaded.add_metric([model], state.loaded)
        yield load
        yield loaded


def _histogram(columns: Columns, prefix: str, bounds: tuple[float, ...]) -> tuple[list[tuple[str, float]], float]:
    """The cumulative counts by upper bound, and the sum."""
    counts = accumulate(columns.get(f"{prefix}b{number}", 0) for number in range(len(bounds) + 1))
    names = [*map(str, bounds), "+Inf"]
    return list(zip(names, map(float, counts), strict=True)), columns.get(f"{prefix}sum", 0) / MICRO

"""Counts the worker's requests, times and memory, and writes them as Prometheus text for `GET /metrics`."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from gpu_worker.contract import Refusal

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
TENTHS = tuple(n / 10 for n in range(1, 11))
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metric names that dashboards of such services already use, and `gpu_worker_*` for the others.

    Labels take few values: the models of the table, tasks, and the codes of the contract. Any thread may call.
    """

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        ProcessCollector(registry=own)
        what = ["model", "task"]
        self.predictions = Counter("ai_bg_predictions", "Requests that were answered.", [*what, "status"], registry=own)
        self.inference = Histogram(
            "ai_bg_inference_duration_seconds",
            "From the start of its batch to pixels.",
            what,
            buckets=SECONDS,
            registry=own,
        )
        self.confidence = Histogram(
            "ai_bg_prediction_confidence", "How sure a cut-out is.", ["model"], buckets=TENTHS, registry=own
        )
        self.load_time = Gauge("ai_bg_model_load_time_seconds", "The last load.", ["model"], registry=own)
        self.loaded = Gauge("ai_bg_model_loaded", "1 while the model is in memory.", ["model"], registry=own)
        self.queue = Gauge("gpu_worker_queue_depth", "Requests that wait for the GPU.", registry=own)
        self.inside = Gauge("gpu_worker_requests_inside", "Requests taken and not yet answered.", registry=own)
        self.waited = Histogram("gpu_worker_queue_seconds", "Time in the queue.", buckets=SECONDS, registry=own)
        self.encoding = Histogram(
            "gpu_worker_encode_seconds", "Pixels to files.", ["format"], buckets=SECONDS, registry=own
        )
        self.batches = Histogram("gpu_worker_batch_requests", "Requests in a batch.", buckets=SIZES, registry=own)
        self.padding = Counter("gpu_worker_padding", "Images painted only to fill a batch.", registry=own)
        self.refusals = Counter("gpu_worker_refusals", "Requests refused.", ["code"], registry=own)
        self.out_of_memory = Counter("gpu_worker_out_of_memory", "Batches too large for the memory.", registry=own)
        self.retried = Counter("gpu_worker_batches_retried_singly", "Batches that failed as a whole.", registry=own)

    def painted(self, model: str, task: str, seconds: float, waited: float, confidence: float | None) -> None:
        self.predictions.labels(model, task, "success").inc()
        self.inference.labels(model, task).observe(seconds)
        self.waited.observe(waited)
        if confidence is not None:
            self.confidence.labels(model).observe(confidence)

    def refused(self, refusal: Refusal, model: str = "", task: str = "") -> None:
        """Count a refusal, with `model` and `task` if the request named a known model."""
        self.refusals.labels(refusal.code).inc()
        if model:
            self.predictions.labels(model, task, "error").inc()

    def text(self, known: Sequence[str], loaded: Sequence[str]) -> bytes:
        """Return all metrics, with the models that are in memory now."""
        for model in known:
            self.loaded.labels(model).set(model in loaded)
        return generate_latest(self.registry)

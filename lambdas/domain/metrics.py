"""The counters of the whole deployment, by the names of contract 8.2, and what each event adds to them.

A series is counted in columns of one record: whole numbers that are only added to, durations in microseconds. The
count of a histogram's bucket is the column of its number, `b0` and so on, and not cumulative. The bounds of buckets
never change: quantiles over a change of them would be wrong.

What a job did is added in the transaction that ends it, so it is counted exactly once whatever was killed on the way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final, Literal

from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import TEXT_TO_IMAGE

Kind = Literal["http", "generation", "prediction", "gpu"]
# Its kind and labels: (http, method, endpoint, status), (generation, provider, model), (prediction, model, task).
Series = tuple[str, ...]
Columns = Mapping[str, int]

MICRO: Final = 1_000_000
HTTP_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0)
GENERATION_BUCKETS: Final = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0)
INFERENCE_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
CONFIDENCE_BUCKETS: Final = tuple(tenth / 10 for tenth in range(1, 11))
GPU_WORKER: Final = "sagemaker"  # the provider whose models run on the project's own GPU
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER: Final = "other"  # the label of methods and paths that are not ours: names of clients would be without number


def of_request(
    method: str, endpoint: str | None, status: int, seconds: float, *, rate_limited: bool
) -> tuple[Series, Columns]:
    """What an answered request adds. `endpoint` is its route's template, None for a path of none."""
    series = ("http", method if method in METHODS else OTHER, endpoint or OTHER, str(status))
    columns = {"count": 1, **_observed("", seconds, HTTP_BUCKETS)}
    return series, {**columns, "rate_limited": 1} if rate_limited else columns


def of_job(job: Job) -> dict[Series, Columns]:
    """What a job in its final state adds: its calls and, of the GPU worker, what it said of its images."""
    found: dict[Series, Counter[str]] = defaultdict(Counter)
    task = _task(job)
    for attempt in job.attempts:
        row = found["generation", attempt.provider, attempt.model]
        row[attempt.outcome] += 1
        if attempt.outcome == "success":
            row.update(_observed("", attempt.duration, GENERATION_BUCKETS))
        if attempt.provider != GPU_WORKER:
            continue
        row = found["prediction", attempt.model, task]
        row["success" if attempt.outcome == "success" else "error"] += 1
        if attempt.painted is not None:
            row.update(_observed("", attempt.painted, INFERENCE_BUCKETS))
    for image in () if job.cached else job.images:
        if image.provider == GPU_WORKER and image.confidence is not None:
            # the image's model is the job's: another would have to be planned for each image
            found["prediction", job.model, task].update(_observed("confidence_", image.confidence, CONFIDENCE_BUCKETS))
    return {series: dict(columns) for series, columns in found.items()}


def gpu_reports(job: Job) -> dict[str, float]:
    """The seconds that the GPU worker's last load of each model took, as it said last."""
    return {a.model: a.loaded for a in job.attempts if a.provider == GPU_WORKER and a.loaded is not None}


def _observed(prefix: str, value: float, bounds: tuple[float, ...]) -> dict[str, int]:
    return {f"{prefix}sum": round(value * MICRO), f"{prefix}b{bisect_left(bounds, value)}": 1}


def _task(job: Job) -> str:
    if job.request.task != TEXT_TO_IMAGE:
        return job.request.task
    return "image-to-image" if job.request.reference_key else "text-to-image"

"""Contract 8.2: what an answered request and an ended job add to the deployment's counters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambdas.domain import metrics
from lambdas.domain.jobs.job import Attempt, Job, StoredImage
from lambdas.domain.jobs.request import BACKGROUND, ImageRequest

NOW = 1_790_000_000.0
GPU = Attempt("sagemaker", "sdxl", "success", duration=90.0, painted=0.7, loaded=21.5)


def job(*attempts: Attempt, **request: Any) -> Job:
    made = Job("acme", "job", ImageRequest("x", **request), "sdxl", "sagemaker", 1, NOW, attempts=attempts)
    return made.completed(NOW + 100)


@pytest.mark.parametrize(
    ("seconds", "column"), [(0.0, "b0"), (0.005, "b0"), (0.0051, "b1"), (30.0, "b12"), (31.0, "b13")]
)
def test_a_request_is_counted_in_the_bucket_that_is_not_below_it(seconds: float, column: str) -> None:
    series, columns = metrics.of_request("GET", "/unified/jobs/{job_id}", 200, seconds, rate_limited=False)
    assert series == ("http", "GET", "/unified/jobs/{job_id}", "200")
    assert columns == {"count": 1, "sum": round(seconds * 1e6), column: 1}


def test_labels_have_few_values() -> None:
    series, columns = metrics.of_request("BREW", None, 405, 0.1, rate_limited=True)
    assert series == ("http", "other", "other", "405")
    assert columns["rate_limited"] == 1


def test_calls_are_counted_by_outcome_and_timed_where_they_gave_an_image() -> None:
    tried = [Attempt("gemini", "g", outcome, duration=4.0) for outcome in ("failed", "refused", "unknown", "success")]
    assert metrics.of_job(job(*tried)) == {
        ("generation", "gemini", "g"): {
            "failed": 1,
            "refused": 1,
            "unknown": 1,
            "success": 1,
            "sum": 4_000_000,
            "b4": 1,
        }
    }


def test_the_gpu_worker_is_counted_by_what_it_says() -> None:
    image = StoredImage("i", "i.png", "k", "job", "p", "sagemaker", 8, 8, "png", 1, 1, NOW, confidence=0.83)
    lost = replace(GPU, outcome="failed", painted=None, loaded=None)
    found = metrics.of_job(replace(job(lost, GPU, task=BACKGROUND), images=(image,)))
    assert found["prediction", "sdxl", "background"] == {
        "error": 1,
        "success": 1,
        "sum": 700_000,
        "b6": 1,
        "confidence_sum": 830_000,
        "confidence_b8": 1,
    }
    assert metrics.gpu_reports(job(lost, GPU)) == {"sdxl": 21.5}
    assert ("prediction", "sdxl", "image-to-image") in metrics.of_job(job(GPU, reference_key="k"))
    assert ("prediction", "sdxl", "text-to-image") in metrics.of_job(job(GPU))


def test_an_image_from_the_cache_adds_nothing() -> None:
    assert metrics.of_job(replace(job(), cached=True)) == {}

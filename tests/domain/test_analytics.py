"""Contract 5.11: what a job adds to its tenant's daily sums, and what a report makes of them."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain import analytics
from lambdas.domain.analytics import Key
from lambdas.domain.failures import Outcome
from lambdas.domain.jobs.job import CANCELLED, Attempt, Job, JobStatus, Rewriting, StoredImage
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.limits.budget import settlement

AT = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC).timestamp()
DAY = "2026-11-30"
PAID = Attempt("bedrock", "m", "success", duration=3.0, cost_usd=0.04, paid="yes")
REFUSED = Attempt("gemini", "g", "failed", duration=0.2, cost_usd=0.01, paid="yes")


def image(number: int = 0, provider: str = "bedrock") -> StoredImage:
    return StoredImage(f"im_{number}", f"im_{number}.png", "k", "job", "shoes", provider, 8, 8, "png", 1000, 1, AT)


def job(**changes: Any) -> Job:
    request = ImageRequest("x" * 500, project_id="shoes", n=2)
    made = Job("acme", "job", request, "m", "bedrock", 1, AT, attempts=(REFUSED, PAID, PAID))
    return replace(made, images=(image(), image(1)), **changes).completed(AT + 9)


def test_5_11_a_job_adds_to_its_project_and_to_each_provider() -> None:
    rows = analytics.of_job(job(cache_key="k"))
    assert rows == {
        Key(DAY, "shoes"): {
            "requests": 1,
            "succeeded": 1,
            "images": 2,
            "microusd": 90_000,
            "stored": 2,
            "bytes": 2000,
            "misses": 1,
        },
        Key(DAY, "shoes", "gemini"): {"attempts": 1, "microusd": 10_000},
        Key(DAY, "shoes", "bedrock"): {"attempts": 2, "succeeded": 2, "l36": 2, "microusd": 80_000, "images": 2},
    }


def test_an_image_from_the_cache_is_a_hit_and_nothing_made() -> None:
    cached = replace(job(cached=True, cache_key="k"), attempts=(), rewriting=Rewriting("llm"), prompt="x")
    assert analytics.of_job(cached) == {Key(DAY, "shoes"): {"requests": 1, "succeeded": 1, "hits": 1}}


@pytest.mark.parametrize(("status", "column"), [("failed", "failed"), (CANCELLED, None)])
def test_a_job_that_gave_nothing_is_a_request(status: JobStatus, column: str | None) -> None:
    ended = replace(job(), status=status, images=(), attempts=())
    assert analytics.of_job(ended) == {Key(DAY, "shoes"): {"requests": 1} | ({column: 1} if column else {})}


def test_what_shortening_the_prompt_cost_is_its_providers() -> None:
    rows = analytics.of_job(job(rewriting=Rewriting("llm", cost_usd=0.0002), prompt="y" * 180))
    whole = rows[Key(DAY, "shoes")]
    assert (whole["prompts"], whole["saved"], whole["microusd"]) == (1, 320, 90_200)
    assert rows[Key(DAY, "shoes", "bedrock")]["microusd"] == 80_200


def test_a_prompt_that_was_left_as_it_is_is_not_counted() -> None:
    assert "prompts" not in analytics.of_job(job(rewriting=Rewriting("none")))[Key(DAY, "shoes")]
    assert analytics.of_prompt(AT, {}, None) == {}
    assert analytics.of_prompt(AT, {"bedrock": 40}, 12) == {
        Key(DAY, ""): {"prompts": 1, "saved": 12, "microusd": 40},
        Key(DAY, "", "bedrock"): {"microusd": 40},
    }


@given(st.lists(st.sampled_from(["success", "failed", "refused", "unknown"]), max_size=6), st.integers(0, 10**6))
def test_the_sums_are_those_of_the_books(outcomes: list[Outcome], cost: int) -> None:
    attempts = tuple(replace(PAID, outcome=outcome, cost_usd=cost / 1e6) for outcome in outcomes)
    ended = replace(job(), attempts=attempts, images=())
    rows = analytics.of_job(ended)
    whole = rows.pop(Key(DAY, "shoes"))
    assert whole.get("microusd", 0) == settlement(ended).spent_microusd
    assert whole.get("microusd", 0) == sum(row.get("microusd", 0) for row in rows.values())
    assert sum(row["attempts"] for row in rows.values()) == len(outcomes)


@given(st.lists(st.floats(0.001, 900), min_size=1, max_size=40), st.sampled_from([0.5, 0.95]))
def test_a_percentile_is_at_most_12_percent_off(seconds: list[float], share: float) -> None:
    true = sorted(seconds)[math.ceil(share * len(seconds)) - 1]
    counts: dict[int, int] = {}
    for value in seconds:
        counts[analytics.bucket(value)] = counts.get(analytics.bucket(value), 0) + 1
    assert abs(analytics.percentile(counts, share) / true - 1) <= 0.12


def test_percentiles_of_few_and_of_none() -> None:
    assert analytics.percentile({}, 0.5) == 0
    assert analytics.percentile({3: 1, 40: 1}, 0.5) == analytics.percentile({3: 5}, 0.95)
    assert analytics.bucket(10_000) == analytics.LAST_BUCKET
    assert analytics.bucket(0) == 0


def test_a_report_sums_and_lists_the_providers_that_were_asked() -> None:
    rows = [*analytics.of_job(job()).items(), *analytics.of_deletion(image(1), AT).items()]
    found = analytics.report(rows, DAY)
    assert (found.requests, found.succeeded, found.failed, found.images, found.cost_usd) == (1, 1, 0, 2, 0.09)
    assert (found.stored_images, found.stored_bytes) == (1, 1000)
    by_id = {sums.id: sums for sums in found.providers}
    assert list(by_id) == ["bedrock", "gemini"]
    assert (by_id["gemini"].attempts, by_id["gemini"].failed, by_id["gemini"].success_rate) == (1, 1, 0.0)
    assert by_id["gemini"].latency_p50 == 0
    assert by_id["bedrock"].latency_p95 == pytest.approx(3.0, rel=0.12)


def test_12_6_an_empty_report_has_zeros() -> None:
    assert analytics.report([], DAY) == analytics.Report(0, 0, 0, 0, 0.0, (), 0, 0, 0, 0, 0, 0)


def test_images_of_days_that_have_expired_are_not_stored() -> None:
    found = analytics.report(analytics.of_job(job()).items(), "2026-12-01")
    assert (found.images, found.stored_images, found.stored_bytes) == (2, 0, 0)


def test_rows_are_kept_for_longer_than_a_report_reaches() -> None:
    kept = analytics.expires_at(DAY) - datetime(2026, 11, 30, tzinfo=UTC).timestamp()
    assert kept > analytics.MAX_DAYS * 86_400

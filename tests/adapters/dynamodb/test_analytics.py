"""Daily sums in DynamoDB: in with a job's end or not at all, and read by the days of a report."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import boto3
import pytest

from lambdas.adapters.dynamodb.analytics import DynamoAnalytics, adds
from lambdas.adapters.dynamodb.backfill import backfill
from lambdas.adapters.dynamodb.budget import DynamoBooks
from lambdas.adapters.dynamodb.items import item
from lambdas.adapters.dynamodb.jobs import DynamoJobs
from lambdas.adapters.dynamodb.transactions import transact
from lambdas.domain import analytics, ids
from lambdas.domain.analytics import Columns, Key, Range
from lambdas.domain.jobs.job import Attempt, Job, StoredImage
from lambdas.domain.jobs.request import ImageRequest

NOW = 1_790_000_000.25  # 2026-09-21
DAY = date(2026, 9, 21)
WHOLE = Key("2026-09-21", "shoes")


@pytest.fixture
def jobs(cloud: None) -> DynamoJobs:
    return DynamoJobs("jobs", "images")


def job(at: float = NOW, **changes: Any) -> Job:
    made = Job("acme", ids.new_job_id(at), ImageRequest("x", project_id="shoes"), "m", "demo", 1, at)
    return replace(made, expires_at=int(NOW) + 86_400, **changes)


def with_image(made: Job) -> Job:
    name = f"im_{made.id[-12:]}0000.png"
    image = StoredImage(name[:-4], name, f"images/{name}", made.id, "shoes", "demo", 8, 8, "png", 100, 1, NOW)
    return replace(made, images=(image,), attempts=(Attempt("demo", "m", "success", duration=1.0, cost_usd=0.02),))


def ended(jobs: DynamoJobs, at: float = NOW) -> Job:
    made = job(at)
    jobs.create(made, None)
    claimed = jobs.claim("acme", made.id, at, at + 20)
    assert claimed
    done = with_image(claimed).completed(at + 1)
    assert jobs.finish(done)
    return done


def rows(first: date = DAY, last: date = DAY, project_id: str | None = None) -> dict[Key, Columns]:
    return dict(DynamoAnalytics("jobs").rows("acme", Range(first, last), project_id))


def test_5_11_the_sums_come_with_the_end(jobs: DynamoJobs) -> None:
    done = ended(jobs)
    assert rows() == analytics.of_job(done)
    assert not jobs.finish(done)
    assert rows() == analytics.of_job(done)


def test_a_run_that_was_taken_over_adds_nothing(jobs: DynamoJobs) -> None:
    made = job()
    jobs.create(made, None)
    late = jobs.claim("acme", made.id, NOW, NOW + 20)
    again = jobs.claim("acme", made.id, NOW + 30, NOW + 50)
    assert late
    assert again
    assert not jobs.finish(with_image(late).completed(NOW + 31))
    assert rows() == {}
    assert jobs.finish(again.failed(NOW + 32, "x", "no"))
    assert rows()[WHOLE] == {"requests": 1, "failed": 1}


def test_cancelled_and_answered_from_the_cache(jobs: DynamoJobs) -> None:
    first, second = job(), job(cached=True, cache_key="k")
    jobs.create(first, None)
    assert jobs.cancel("acme", first.id, NOW + 1)
    assert not jobs.cancel("acme", first.id, NOW + 1)
    jobs.create(second.completed(NOW), None)
    assert rows()[WHOLE] == {"requests": 2, "succeeded": 1, "hits": 1}


def test_a_deletion_takes_from_the_day_of_the_job_what_is_stored(jobs: DynamoJobs) -> None:
    done = ended(jobs, NOW - 5 * 86_400)
    assert jobs.drop_image("acme", done.images[0])
    assert not jobs.drop_image("acme", done.images[0])
    [whole, _] = rows(DAY - timedelta(days=5)).values()
    assert (whole["images"], whole["stored"], whole["bytes"]) == (1, 0, 0)


def test_a_job_of_before_there_were_sums_is_filled_up_once(jobs: DynamoJobs) -> None:
    kept, lost, new = ended(jobs), ended(jobs), ended(jobs)
    queued = job()
    jobs.create(queued, None)
    _forget_sums(kept, lost)
    before = rows()
    assert jobs.drop_image("acme", lost.images[0])  # nothing is subtracted that was not added
    assert rows() == before == analytics.of_job(new)
    db = boto3.client("dynamodb")
    assert backfill(db, "jobs") == 2
    assert backfill(db, "jobs") == 0
    whole = rows()[WHOLE]
    assert (whole["requests"], whole["images"], whole["stored"], whole["microusd"]) == (3, 3, 2, 60_000)
    assert jobs.drop_image("acme", kept.images[0])
    assert rows()[WHOLE]["stored"] == 1


def _forget_sums(*of: Job) -> None:
    """As an earlier version left these jobs."""
    db = boto3.client("dynamodb")
    for done in of:
        for key, columns in analytics.of_job(done).items():
            less = {name: -value for name, value in columns.items()}
            transact(adds("jobs", "acme", {key: less}))
        at = {"pk": {"S": "acme"}, "sk": {"S": done.id}}
        db.update_item(TableName="jobs", Key=at, UpdateExpression="REMOVE rolled_up")


def test_a_report_reads_its_days_and_its_project(jobs: DynamoJobs) -> None:
    for days in (0, 1, 2, 3):
        ended(jobs, NOW - days * 86_400)
    first = DAY - timedelta(days=2)
    assert [key.day for key in rows(first, DAY - timedelta(days=1))] == ["2026-09-19"] * 2 + ["2026-09-20"] * 2
    assert len(rows(DAY - timedelta(days=30), DAY)) == 8
    assert rows(project_id="hats") == {}
    assert len(rows(project_id="shoes")) == 2
    assert list(DynamoAnalytics("jobs").rows("umbrella", Range(DAY, DAY), None)) == []


def test_all_pages_of_a_long_range_are_read(jobs: DynamoJobs) -> None:
    days = [DAY - timedelta(days=number) for number in range(400)]
    db, wide = boto3.client("dynamodb"), {"x" * 4000: 1}
    for day in days:
        db.put_item(TableName="jobs", Item=item("acme#analytics", f"{day.isoformat()}#p#demo", expires_at=1, **wide))
    assert len(rows(days[-1], DAY)) == 400


def test_the_cost_of_a_prompt_is_in_the_books_and_in_the_sums_or_in_neither(jobs: DynamoJobs) -> None:
    books = DynamoBooks("jobs")
    books.settle("acme", NOW, 0, 40, 0, analytics.of_prompt(NOW, {"bedrock": 40}, 900))
    books.settle("acme", NOW, 0, 0, 0, analytics.of_prompt(NOW, {}, 100))
    books.settle("acme", NOW, 0, 0, 0, {})
    sums: Counter[str] = Counter()
    for columns in rows().values():
        sums.update(columns)
    assert sums == {"prompts": 2, "saved": 1000, "microusd": 80}  # of the whole, and of its provider
    assert books.committed("acme", NOW).microusd == 40

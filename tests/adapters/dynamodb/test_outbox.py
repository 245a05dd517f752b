"""Events in DynamoDB: stored with their job's end, moved by one writer at a time, listed in pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import boto3
import pytest

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.jobs import DynamoJobs
from lambdas.adapters.dynamodb.outbox import DynamoOutbox
from lambdas.domain import ids
from lambdas.domain.errors import InvalidRequest
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.webhooks import EXHAUSTED, PENDING, Event, State, event_of

NOW = 1_790_000_000.25
URL = "https://a.example/h"


@pytest.fixture
def outbox(cloud: None) -> DynamoOutbox:
    return DynamoOutbox("jobs")


@pytest.fixture
def jobs(outbox: DynamoOutbox) -> DynamoJobs:
    return DynamoJobs("jobs", "images")


def job(tenant: str = "acme", at: float = NOW, url: str | None = URL) -> Job:
    request = ImageRequest("x", webhook_url=url)
    return Job(tenant, ids.new_job_id(at), request, "m", "demo", 1, at, expires_at=int(NOW) + 86_400)


def ended(jobs: DynamoJobs, made: Job) -> Job:
    jobs.create(made, None)
    claimed = jobs.claim(made.tenant, made.id, NOW, NOW + 20)
    assert claimed
    assert jobs.finish(claimed.completed(NOW + 1))
    return claimed.completed(NOW + 1)


def test_the_event_comes_with_the_end(jobs: DynamoJobs, outbox: DynamoOutbox) -> None:
    made = job()
    jobs.create(made, None)
    assert outbox.get("acme", made.id) is None
    claimed = jobs.claim("acme", made.id, NOW, NOW + 20)
    assert claimed
    done = claimed.completed(NOW + 1)
    assert jobs.finish(done)
    assert outbox.get("acme", made.id) == event_of(done)
    assert outbox.get("other", made.id) is None


def test_no_event_of_an_end_that_was_not_this_runs(jobs: DynamoJobs, outbox: DynamoOutbox) -> None:
    made = job()
    jobs.create(made, None)
    late = jobs.claim("acme", made.id, NOW, NOW + 20)
    again = jobs.claim("acme", made.id, NOW + 30, NOW + 50)
    assert late
    assert again
    assert not jobs.finish(late.failed(NOW + 31, "x", "late"))
    assert outbox.get("acme", made.id) is None
    assert jobs.finish(again.completed(NOW + 32))
    event = outbox.get("acme", made.id)
    assert event
    assert event.type == "generation.completed"


def test_cancelled_and_made_final(jobs: DynamoJobs, outbox: DynamoOutbox) -> None:
    first, second = job(), job()
    jobs.create(first, None)
    assert jobs.cancel("acme", first.id, NOW + 1)
    jobs.create(second.failed(NOW, "x", "refused"), None)
    types = [event.type for event in (outbox.get("acme", first.id), outbox.get("acme", second.id)) if event]
    assert types == ["generation.cancelled", "generation.failed"]


def test_a_job_without_an_address_writes_no_event(jobs: DynamoJobs, outbox: DynamoOutbox) -> None:
    ended(jobs, job(url=None))
    items = boto3.client("dynamodb").scan(TableName="jobs")["Items"]
    assert {item["pk"]["S"] for item in items} == {"acme", "acme#analytics"}


def test_one_writer_at_a_time(jobs: DynamoJobs, outbox: DynamoOutbox) -> None:
    done = ended(jobs, job())
    event = outbox.get("acme", done.id)
    assert event
    claimed = event.claimed(NOW + 5)
    assert outbox.move(event, claimed)
    assert not outbox.move(event, event.claimed(NOW + 5))  # though it would write the very same
    assert outbox.get("acme", done.id) == claimed
    after = claimed.failed(int(NOW) + 90, "HTTP 503", 503)
    assert outbox.move(claimed, after)
    assert not outbox.move(claimed, claimed.ended(EXHAUSTED))
    assert outbox.get("acme", done.id) == after


@pytest.mark.parametrize("field", ["attempts", "due", "lease_until", "state"])
def test_what_a_writer_must_have_seen(jobs: DynamoJobs, outbox: DynamoOutbox, field: str) -> None:
    done = ended(jobs, job())
    event = outbox.get("acme", done.id)
    assert event
    other: Any = EXHAUSTED if field == "state" else getattr(event, field) + 1
    seen = replace(event, **{field: other})
    assert not outbox.move(seen, event.claimed(NOW))


def test_a_writing_whose_answer_was_lost_is_this_writers(
    jobs: DynamoJobs, outbox: DynamoOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = ended(jobs, job())
    event = outbox.get("acme", done.id)
    assert event
    db = aws.client("dynamodb")
    put = db.put_item

    def twice(**given: Any) -> Any:
        put(**given)
        return put(**given)

    monkeypatch.setattr(db, "put_item", twice)
    assert outbox.move(event, event.claimed(NOW))


def test_nothing_is_moved_that_is_not_there(outbox: DynamoOutbox) -> None:
    event = event_of(job().completed(NOW))
    assert event
    assert not outbox.move(event, event.claimed(NOW))


def listed(outbox: DynamoOutbox, state: State | None, limit: int) -> list[list[Event]]:
    pages, cursor = [], None
    while True:
        page = outbox.list("acme", state, limit, cursor)
        pages.append(page.events)
        cursor = page.next_cursor
        if cursor is None:
            return pages


def test_pages_newest_first_also_of_one_state(jobs: DynamoJobs, outbox: DynamoOutbox) -> None:
    made = [ended(jobs, job(at=NOW + i)) for i in range(5)]
    ended(jobs, job("other"))
    for done in made[:3]:
        event = outbox.get("acme", done.id)
        assert event
        outbox.move(event, event.ended(EXHAUSTED, "HTTP 500", 500))
    newest = [done.id for done in reversed(made)]
    assert [[e.job_id for e in page] for page in listed(outbox, None, 2)] == [newest[:2], newest[2:4], newest[4:]]
    assert [[e.job_id for e in page] for page in listed(outbox, EXHAUSTED, 2)] == [newest[2:4], newest[4:]]
    assert [[e.job_id for e in page] for page in listed(outbox, PENDING, 2)] == [newest[:2]]
    assert listed(outbox, "delivered", 2) == [[]]
    with pytest.raises(InvalidRequest):
        outbox.list("acme", None, 2, "made-up")


def test_jobs_are_listed_without_their_events(jobs: DynamoJobs, outbox: DynamoOutbox) -> None:
    from lambdas.domain.jobs.job import JobFilter

    done = ended(jobs, job())
    for where in (JobFilter(), JobFilter(status="completed")):
        assert [j.id for j in jobs.list("acme", where, 10, None).jobs] == [done.id]


def test_addresses_that_want_no_more(outbox: DynamoOutbox) -> None:
    assert not outbox.disabled("acme", URL, NOW)
    outbox.disable("acme", URL, NOW + 100)
    assert outbox.disabled("acme", URL, NOW)
    assert not outbox.disabled("acme", URL, NOW + 101)  # also before the row is swept
    assert not outbox.disabled("other", URL, NOW)
    assert not outbox.disabled("acme", URL + "/", NOW)
    outbox.enable("acme", URL)
    assert not outbox.disabled("acme", URL, NOW)


@pytest.mark.parametrize("state", [None, EXHAUSTED])
def test_below_the_lowest_id_there_is_nothing(jobs: DynamoJobs, outbox: DynamoOutbox, state: State | None) -> None:
    ended(jobs, job())
    page = outbox.list("acme", state, 5, "00000000-0000-0000-0000-000000000000")
    assert (page.events, page.next_cursor) == ([], None)

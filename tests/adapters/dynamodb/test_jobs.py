"""Jobs in DynamoDB: every transition is conditional, and the cost of a page does not depend on the number of jobs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from lambdas.adapters import aws
from lambdas.adapters.dynamodb import listing
from lambdas.adapters.dynamodb.items import Values, get_item
from lambdas.adapters.dynamodb.jobs import DynamoJobs
from lambdas.domain.errors import InvalidRequest
from lambdas.domain.ids import new_job_id
from lambdas.domain.jobs.job import CANCELLED, COMPLETED, RUNNING, Attempt, Idempotency, Job, JobFilter, StoredImage
from lambdas.domain.jobs.request import Dropped, ImageRequest

NOW = 1_790_000_000.0
pytestmark = pytest.mark.usefixtures("cloud")


@pytest.fixture
def jobs() -> DynamoJobs:
    return DynamoJobs("jobs", "images")


def job(at: float = NOW, tenant: str = "acme", project: str = "default", provider: str = "bedrock") -> Job:
    request = ImageRequest("ein Fuchs 🦊", cfg=7.5, project_id=project, given=("cfg",))
    return Job(tenant, new_job_id(at), request, "model", provider, seed=4, created_at=at, expires_at=int(at) + 1000)


def image(of: Job) -> StoredImage:
    return StoredImage("im_1", "im_1.png", "images/k", of.id, "default", "bedrock", 8, 8, "png", 10, 4, NOW)


def test_a_record_comes_back_as_it_was(jobs: DynamoJobs) -> None:
    new = replace(job(), dropped=(Dropped("steps", "none"),), attempts=(Attempt("bedrock", "m"),))
    assert jobs.create(new, None) is None
    assert jobs.get("acme", new.id) == new
    assert jobs.get("umbrella", new.id) is None


def test_one_claim_at_a_time(jobs: DynamoJobs) -> None:
    new = job()
    jobs.create(new, None)
    first = jobs.claim("acme", new.id, NOW, NOW + 20)
    assert first and (first.status, first.fence, first.started_at) == (RUNNING, 1, NOW)
    assert jobs.claim("acme", new.id, NOW + 20, NOW + 40) is None
    second = jobs.claim("acme", new.id, NOW + 21, NOW + 41)
    assert second and second.fence == 2
    assert not jobs.save(first)
    assert not jobs.renew(first, NOW + 99)
    assert not jobs.finish(first.completed(NOW))
    assert jobs.renew(second, NOW + 99)
    assert jobs.claim("acme", new.id, NOW + 50, NOW + 70) is None


@pytest.mark.usefixtures("serial")
def test_of_many_claims_at_once_one_wins(jobs: DynamoJobs) -> None:
    new = job()
    jobs.create(new, None)
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda _: jobs.claim("acme", new.id, NOW, NOW + 20), range(16)))
    assert sum(claim is not None for claim in won) == 1


@pytest.mark.parametrize("between", ["nothing", "renew", "save"])
def test_a_claim_fails_when_the_holder_wrote_in_between(
    between: str, jobs: DynamoJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the claim has read the row of a lease that is over, and before it writes."""
    new = job()
    jobs.create(new, None)
    first = jobs.claim("acme", new.id, NOW, NOW + 20)
    assert first
    called = replace(first, attempts=(Attempt("bedrock", "core"),))
    writes: dict[str, Callable[[], bool]] = {
        "nothing": lambda: False,
        "renew": lambda: jobs.renew(first, NOW + 60),
        "save": lambda: jobs.save(called),
    }

    def then_written(table: str, pk: str, sk: str) -> Values | None:
        row = get_item(table, pk, sk)
        assert writes[between]() or between == "nothing"
        return row

    monkeypatch.setattr("lambdas.adapters.dynamodb.jobs.get_item", then_written)
    second = jobs.claim("acme", new.id, NOW + 30, NOW + 50)
    assert (second and second.fence) == (2 if between == "nothing" else None)


def test_finishing_stores_the_images_with_the_state(jobs: DynamoJobs) -> None:
    new = job()
    jobs.create(new, None)
    running = jobs.claim("acme", new.id, NOW, NOW + 20)
    assert running
    done = replace(running, images=(image(new),)).completed(NOW + 3)
    assert jobs.finish(done)
    stored = jobs.get("acme", new.id)
    assert stored and (stored.status, stored.images) == (COMPLETED, (image(new),))
    assert jobs.find_image("acme", "im_1.png") == image(new)
    assert jobs.find_image("umbrella", "im_1.png") is None
    assert not jobs.finish(done)
    assert jobs.claim("acme", new.id, NOW + 99, NOW + 120) is None


def test_a_refused_finish_stores_no_image(jobs: DynamoJobs) -> None:
    new = job()
    jobs.create(new, None)
    running = jobs.claim("acme", new.id, NOW, NOW + 20)
    assert running
    jobs.claim("acme", new.id, NOW + 30, NOW + 50)
    assert not jobs.finish(replace(running, images=(image(new),)).completed(NOW))
    assert jobs.find_image("acme", "im_1.png") is None


def test_progress_is_kept(jobs: DynamoJobs) -> None:
    new = job()
    jobs.create(new, None)
    running = jobs.claim("acme", new.id, NOW, NOW + 20)
    assert running
    assert jobs.renew(running, NOW + 60)
    assert jobs.save(replace(running, attempts=(Attempt("bedrock", "m"),)))
    stored = jobs.get("acme", new.id)
    assert stored and (len(stored.attempts), stored.lease_until) == (1, NOW + 60)


def test_only_a_queued_job_is_cancelled(jobs: DynamoJobs) -> None:
    new = job()
    jobs.create(new, None)
    assert jobs.cancel("acme", new.id, NOW)
    cancelled = jobs.get("acme", new.id)
    assert cancelled and cancelled.status == CANCELLED
    assert not jobs.cancel("acme", new.id, NOW)
    other = job()
    jobs.create(other, None)
    jobs.claim("acme", other.id, NOW, NOW + 20)
    assert not jobs.cancel("acme", other.id, NOW)


def test_an_idempotency_key_makes_one_job(jobs: DynamoJobs) -> None:
    first, second = job(), job()
    key = Idempotency("acme", "k", "print", first.id, int(NOW) + 86_400)
    assert jobs.create(first, key) is None
    earlier = jobs.create(second, replace(key, fingerprint="other", job_id=second.id))
    assert earlier == key
    assert jobs.used("acme", "k", NOW) == key
    assert jobs.used("acme", "k", key.expires_at + 1) is None
    assert jobs.used("umbrella", "k", NOW) is None
    assert jobs.get("acme", second.id) is None
    assert jobs.create(job(tenant="umbrella"), replace(key, tenant="umbrella")) is None


def test_an_expired_key_is_free_again(jobs: DynamoJobs) -> None:
    first, later = job(), job(NOW + 90_000)
    jobs.create(first, Idempotency("acme", "k", "print", first.id, int(NOW) + 86_400))
    assert jobs.create(later, Idempotency("acme", "k", "print", later.id, int(NOW) + 176_400)) is None


@pytest.fixture
def history(jobs: DynamoJobs) -> list[Job]:
    """Ten jobs, a second apart: even ones of project `even`, every third one of `demo`."""
    made = []
    for i in range(10):
        one = job(NOW + i, project="even" if i % 2 == 0 else "odd", provider="demo" if i % 3 == 0 else "bedrock")
        jobs.create(one, None)
        made.append(one)
    jobs.create(job(tenant="umbrella"), None)
    return made


def listed(jobs: DynamoJobs, limit: int = 100, **where: Any) -> list[Job]:
    found: list[Job] = []
    cursor = None
    for _ in range(50):
        page = jobs.list("acme", JobFilter(**where), limit, cursor)
        found += page.jobs
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise AssertionError("the listing does not end")


@pytest.mark.parametrize("limit", [1, 2, 3, 9, 10, 11, 100])
def test_pages_hold_every_job_once_newest_first(jobs: DynamoJobs, history: list[Job], limit: int) -> None:
    assert [j.id for j in listed(jobs, limit)] == [j.id for j in reversed(history)]


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_filters(jobs: DynamoJobs, history: list[Job], limit: int) -> None:
    def ids(keep: Any) -> list[str]:
        return [j.id for i, j in reversed(list(enumerate(history))) if keep(i)]

    def found(**where: Any) -> list[str]:
        return [j.id for j in listed(jobs, limit, **where)]

    assert found(project_id="even") == ids(lambda i: i % 2 == 0)
    assert found(provider="demo") == ids(lambda i: i % 3 == 0)
    assert found(project_id="even", provider="demo") == ids(lambda i: i % 6 == 0)
    assert found(since=NOW + 2, until=NOW + 4) == ids(lambda i: 2 <= i <= 4)
    assert found(since=NOW + 5) == ids(lambda i: i >= 5)
    assert found(status="queued", project_id="odd", until=NOW + 3) == ids(lambda i: i in (1, 3))
    assert found(status="completed") == []
    assert found(project_id="none") == []
    jobs.cancel("acme", history[4].id, NOW)
    assert found(status="cancelled") == [history[4].id]
    assert len(found(status="queued")) == 9


def test_a_page_costs_the_same_with_few_and_many_matches(
    jobs: DynamoJobs, history: list[Job], monkeypatch: Any
) -> None:
    calls: list[str] = []
    db = aws.client("dynamodb")
    db.meta.events.register("before-call.dynamodb.*", lambda model, **_: calls.append(model.name))
    jobs.list("acme", JobFilter(project_id="odd", provider="nobody"), 1, None)
    assert len(calls) <= 2 * listing.MAX_QUERIES


def test_a_cursor_nobody_gave_out_is_refused(jobs: DynamoJobs) -> None:
    with pytest.raises(InvalidRequest):
        jobs.list("acme", JobFilter(), 10, "nonsense")

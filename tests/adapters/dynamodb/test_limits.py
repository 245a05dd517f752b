"""Rate limits and budgets in DynamoDB: under concurrency exactly the limit is admitted."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from typing import Any

import boto3
import pytest

from lambdas.adapters import aws
from lambdas.adapters.dynamodb import transactions
from lambdas.adapters.dynamodb.budget import DynamoBooks
from lambdas.adapters.dynamodb.jobs import DynamoJobs
from lambdas.adapters.dynamodb.limits import DynamoLimits
from lambdas.domain.errors import BudgetExceeded, Unavailable
from lambdas.domain.failures import Failure
from lambdas.domain.ids import new_job_id
from lambdas.domain.jobs.job import Attempt, Idempotency, Job, StoredImage
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.limits import budget
from lambdas.domain.limits.budget import Caps, Committed, reserving
from tests.support.budget_model import Books
from tests.support.fakes import FakeBooks, FakeJobs, FakeLimits

NOW = 1_790_000_000.0
CORE, ULTRA = "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1"
pytestmark = pytest.mark.usefixtures("cloud")


@pytest.fixture
def jobs() -> DynamoJobs:
    return DynamoJobs("jobs", "images")


def job(caps: Caps, *plan: str, n: int = 1, tenant: str = "acme", at: float = NOW) -> Job:
    plan = plan or (CORE,)
    request = ImageRequest("x", n=n)
    new = Job(tenant, new_job_id(at), request, plan[0], "bedrock", 4, at, plan=plan, expires_at=int(at) + 9)
    return reserving(new, caps)


def ended(of: Job, cost: float = 0.04) -> Job:
    image = StoredImage("im", f"{of.id}.png", "k", of.id, "default", "bedrock", 8, 8, "png", 1, 4, NOW)
    return replace(of, images=(image,), attempts=(Attempt("bedrock", CORE, "success", cost_usd=cost),)).completed(NOW)


def books(tenant: str = "acme", at: float = NOW) -> dict[str, int]:
    key = {"pk": {"S": f"{tenant}#budget"}, "sk": {"S": budget.month(at)}}
    item = boto3.client("dynamodb").get_item(TableName="jobs", Key=key).get("Item", {})
    return {column: int(item.get(column, {"N": "0"})["N"]) for column in asdict(Books())}


def try_create(jobs: DynamoJobs, new: Job, caps: Caps) -> bool:
    try:
        jobs.create(new, None, caps)
    except BudgetExceeded:
        return False
    return True


@pytest.mark.usefixtures("serial")
@pytest.mark.parametrize("caps", [Caps(microusd=400_000), Caps(images=10), Caps(400_000, 10), Caps(439_999, 12)])
def test_of_forty_callers_exactly_the_cap_is_admitted(jobs: DynamoJobs, caps: Caps) -> None:
    with ThreadPoolExecutor(40) as pool:
        admitted = list(pool.map(lambda _: try_create(jobs, job(caps), caps), range(40)))
    assert sum(admitted) == 10
    assert books()["committed_microusd"] == 400_000
    stored = boto3.client("dynamodb").scan(TableName="jobs", Select="COUNT")["Count"]
    assert stored == 10 + 1  # the refused left nothing


@pytest.mark.parametrize("store", ["table", "fake"])
@pytest.mark.parametrize("caps", [Caps(microusd=200_000), Caps(images=6), Caps(200_000, 4), Caps(280_000, 9), Caps()])
def test_the_check_before_says_what_the_transaction_says(caps: Caps, store: str) -> None:
    jobs: Any = DynamoJobs("jobs", "images") if store == "table" else FakeJobs()
    shelf: Any = DynamoBooks("jobs") if store == "table" else FakeBooks(jobs)
    before = shelf.committed("acme", NOW)
    assert before == Committed()
    for n in (1, 8, 3, 2, 1, 1):
        new = job(caps, n=n)
        try:
            after = budget.check(new, caps, before)
        except BudgetExceeded as refused:
            assert not try_create(jobs, new, caps)
            assert str(refused) == str(budget.exceeded(caps, NOW))
        else:
            assert try_create(jobs, new, caps)
            before = after
        assert shelf.committed("acme", NOW) == before
    assert shelf.committed("umbrella", NOW) == shelf.committed("acme", NOW + 31 * 86_400) == Committed()


def test_a_job_larger_than_the_cap_is_refused_on_empty_books(jobs: DynamoJobs) -> None:
    caps = Caps(microusd=300_000)
    assert not try_create(jobs, job(caps, n=8), caps)
    assert try_create(jobs, job(caps, n=7), caps)


def test_tenants_and_months_have_books_of_their_own(jobs: DynamoJobs) -> None:
    caps = Caps(images=1)
    assert try_create(jobs, job(caps), caps)
    assert not try_create(jobs, job(caps), caps)
    assert try_create(jobs, job(caps, tenant="umbrella"), caps)
    assert try_create(jobs, job(caps, at=NOW + 31 * 86_400), caps)


def test_the_end_of_a_job_settles_with_it_and_once(jobs: DynamoJobs) -> None:
    caps = Caps(microusd=200_000)
    new = job(caps, CORE, ULTRA)
    jobs.create(new, None, caps)
    running = jobs.claim("acme", new.id, NOW, NOW + 20)
    assert running
    assert running.reserved_microusd == 140_000
    assert jobs.finish(ended(running))
    wanted = {"committed_microusd": 40_000, "spent_microusd": 40_000, "lost_microusd": 0}
    assert books() == {**wanted, "committed_images": 1, "images": 1}
    assert not jobs.finish(ended(running))
    assert books() == {**wanted, "committed_images": 1, "images": 1}


def test_a_run_that_was_overtaken_settles_nothing(jobs: DynamoJobs) -> None:
    caps = Caps(microusd=200_000)
    new = job(caps)
    jobs.create(new, None, caps)
    first = jobs.claim("acme", new.id, NOW, NOW + 20)
    assert first
    assert jobs.claim("acme", new.id, NOW + 30, NOW + 50)
    assert not jobs.finish(ended(first))
    assert books()["spent_microusd"] == 0
    assert books()["committed_microusd"] == 40_000


def test_a_cancelled_and_a_failed_job_give_back_what_they_reserved(jobs: DynamoJobs) -> None:
    caps = Caps(images=2)
    one, other = job(caps), job(caps)
    for new in (one, other):
        assert try_create(jobs, new, caps)
    assert jobs.cancel("acme", one.id, NOW)
    assert not jobs.cancel("acme", one.id, NOW)
    running = jobs.claim("acme", other.id, NOW, NOW + 20)
    assert running
    assert jobs.finish(running.failed(NOW, "x", "y"))
    assert set(books().values()) == {0}
    assert try_create(jobs, job(caps, n=2), caps)


def test_a_loss_is_written_down_but_not_charged(jobs: DynamoJobs) -> None:
    new = job(Caps())
    jobs.create(new, None)
    running = jobs.claim("acme", new.id, NOW, NOW + 20)
    assert running
    lost = replace(running, attempts=(Attempt("bedrock", CORE, "unknown", Failure.OUTCOME_UNKNOWN),))
    assert jobs.finish(lost.failed(NOW, "outcome_unknown", "y"))
    assert (books()["lost_microusd"], books()["spent_microusd"]) == (40_000, 0)


def test_without_a_cap_spending_is_still_counted(jobs: DynamoJobs) -> None:
    new = job(Caps())
    assert jobs.create(new, None, Caps()) is None
    assert set(books().values()) == {0}
    running = jobs.claim("acme", new.id, NOW, NOW + 20)
    assert running
    assert jobs.finish(ended(running, cost=0.0019))
    assert (books()["spent_microusd"], books()["committed_microusd"], books()["images"]) == (1900, 1900, 1)


def test_a_replay_reserves_nothing_also_when_the_budget_is_used_up(jobs: DynamoJobs) -> None:
    caps = Caps(images=1)
    first, again = job(caps), job(caps)
    key = Idempotency("acme", "k", "print", first.id, int(NOW) + 86_400)
    assert jobs.create(first, key, caps) is None
    assert jobs.create(again, replace(key, job_id=again.id), caps) == key
    with pytest.raises(BudgetExceeded):
        jobs.create(again, replace(key, key="other", job_id=again.id), caps)
    assert jobs.create(again, replace(key, key="other", job_id=again.id), Caps(images=2)) is None  # it left no trace


def test_a_conflict_with_another_writer_is_not_an_answer(jobs: DynamoJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    db, caps = aws.client("dynamodb"), Caps(images=5)
    real, failures, waits = db.transact_write_items, ["TransactionConflict", "ThrottlingError"], list[float]()
    monkeypatch.setattr(time, "sleep", waits.append)

    def contended(**arguments: Any) -> Any:
        if not failures:
            return real(**arguments)
        reasons = [{"Code": "None"}, {"Code": failures.pop()}]
        error = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
        raise db.exceptions.TransactionCanceledException(error, "TransactWriteItems")

    monkeypatch.setattr(db, "transact_write_items", contended)
    assert try_create(jobs, job(caps), caps)
    assert len(waits) == 2
    failures += ["TransactionConflict"] * transactions.TRIES
    with pytest.raises(Unavailable):
        jobs.create(job(caps), None, caps)
    assert books()["committed_images"] == 1


def test_what_is_no_jobs_is_held_and_settled_in_the_same_books(jobs: DynamoJobs) -> None:
    caps, shelf = Caps(microusd=42_500), DynamoBooks("jobs")
    assert try_create(jobs, job(caps), caps)
    shelf.hold("acme", NOW, 2_000, caps)
    assert books()["committed_microusd"] == 42_000
    for tenant, at, fits in (("acme", NOW, False), ("umbrella", NOW, True), ("acme", NOW + 40 * 86_400, True)):
        try:
            shelf.hold(tenant, at, 2_000, caps)
        except BudgetExceeded:
            assert not fits
        else:
            assert fits
    shelf.settle("acme", NOW, 2_000, 243, 396, {})
    found = books()
    assert (found["committed_microusd"], found["spent_microusd"], found["lost_microusd"]) == (40_243, 243, 396)
    shelf.hold("acme", NOW, 2_000, caps)


@pytest.mark.usefixtures("serial")
def test_of_forty_callers_exactly_the_cap_is_held() -> None:
    shelf, caps = DynamoBooks("jobs"), Caps(microusd=20_999)

    def held(_: int) -> bool:
        try:
            shelf.hold("acme", NOW, 2_000, caps)
        except BudgetExceeded:
            return False
        return True

    with ThreadPoolExecutor(40) as pool:
        assert sum(pool.map(held, range(40))) == 10
    assert books()["committed_microusd"] == 20_000


@pytest.mark.usefixtures("serial")
def test_the_rate_of_forty_callers_at_once() -> None:
    limits = [DynamoLimits("jobs", 10) for _ in range(4)]
    with ThreadPoolExecutor(40) as pool:
        verdicts = list(pool.map(lambda i: limits[i % 4].admit("acme", 1, NOW), range(40)))
    assert sum(v is not None and v.retry_after is None for v in verdicts) == 10
    assert {v.retry_after for v in verdicts if v} == {None, 6}
    other = limits[0].admit("umbrella", 1, NOW)
    assert other
    assert other.remaining == 9


@pytest.mark.parametrize("limit", [1, 7, 60])
@pytest.mark.parametrize("processes", [1, 2])
def test_the_table_says_what_the_textbook_says(limit: int, processes: int) -> None:
    tables, book = [DynamoLimits("jobs", limit) for _ in range(processes)], FakeLimits(limit)
    now = NOW
    for turn in range(120):
        now += (0, 0, 0.4, 3.1, 0, 9.7, 61)[turn * 5 % 7]
        cost = 1 + turn % 3
        assert tables[turn % processes].admit("acme", cost, now) == book.admit("acme", cost, now), turn


def test_an_admitted_request_of_a_busy_tenant_is_one_write() -> None:
    calls: list[str] = []
    limits = DynamoLimits("jobs", 60)
    limits.admit("acme", 1, NOW)
    events = aws.dynamodb_once().meta.events
    events.register("before-call.dynamodb.*", lambda model, **_: calls.append(model.name))
    for _ in range(5):
        assert limits.admit("acme", 1, NOW)
    assert limits.admit("umbrella", 1, NOW)
    assert calls == ["UpdateItem"] * 6


def test_without_a_limit_nothing_is_asked() -> None:
    assert DynamoLimits("no such table", 0).admit("acme", 1, NOW) is None

"""Single writes that fail or whose response is lost: each takes effect once, or is reported as failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.health import DynamoHealth
from lambdas.adapters.dynamodb.limits import DynamoLimits
from lambdas.adapters.dynamodb.listing import MAX_READS, read_items
from lambdas.adapters.dynamodb.projects import DynamoProjects
from lambdas.adapters.dynamodb.slots import DynamoSlots
from lambdas.domain.errors import Unavailable
from lambdas.domain.failures import Failure
from lambdas.domain.jobs.job import Batch, Idempotency, Job, RecordExists
from lambdas.domain.projects import Project
from lambdas.domain.routing.health import MIN_COOLDOWN, TRIP_AFTER, may_call
from tests.adapters.dynamodb.test_jobs import NOW, image, job
from tests.faults.flow import Flow
from tests.faults.flows import FLOWS
from tests.faults.injector import FAULTS, Injector, Plan
from tests.faults.world import World

Open = Callable[[Flow], World]
EACH_WAY = pytest.mark.parametrize(("fault", "always"), [(f, a) for f in FAULTS for a in (False, True)])
UNSENT = ("throttle", "refused")  # what surely had no effect


@pytest.fixture
def jobs(world_of: Open) -> Any:
    return world_of(FLOWS["make_project"]).deps.jobs


def tried(injector: Injector, call: str, fault: str, always: bool, act: Callable[[], Any]) -> Any:
    """What `act` gives while its call fails, or `always` each of this operation; `None` where it could not be done."""
    plan = Plan(f"{call[:-1]}*" if always else call, fault, always)
    with injector.watched(plan):
        try:
            return act()
        except Unavailable:
            return None
        finally:
            assert plan.met


@EACH_WAY
@pytest.mark.parametrize("already", [0, 3])
def test_a_request_is_counted_once_at_the_most(
    fault: str, always: bool, already: int, jobs: Any, injector: Injector
) -> None:
    """Both for an idle tenant and for one in use."""
    limits = DynamoLimits("jobs", 5)
    for _ in range(already):
        limits.admit("acme", 1, NOW)
    verdict = tried(injector, "dynamodb-UpdateItem-1", fault, always, lambda: limits.admit("acme", 1, NOW))
    if always and fault in UNSENT:
        assert verdict is None
    else:
        assert verdict.retry_after is None
    counted = 5 - DynamoLimits("jobs", 5).admit("acme", 1, NOW).remaining - 1  # type: ignore[union-attr]
    taken_effect = fault == "lost" or (fault in UNSENT and not always)
    assert counted == already + taken_effect


@EACH_WAY
def test_an_observation_counts_once_at_the_most(fault: str, always: bool, jobs: Any, injector: Injector) -> None:
    health = DynamoHealth("providers", memory_seconds=0)
    health.observe("gemini", "m", Failure.FAILED, 1.0, 0.0, NOW)
    tried(
        injector,
        "dynamodb-UpdateItem-1",
        fault,
        always,
        lambda: health.observe("gemini", "m", Failure.FAILED, 1.0, 0.0, NOW),
    )
    assert DynamoHealth("providers").snapshot()["gemini"].streak == (1 if always and fault != "lost" else 2)


@EACH_WAY
def test_whoever_claims_the_probe_has_it(fault: str, always: bool, jobs: Any, injector: Injector) -> None:
    health, other = DynamoHealth("providers", memory_seconds=0), DynamoHealth("providers", memory_seconds=0)
    for _ in range(TRIP_AFTER):
        health.observe("gemini", "m", Failure.FAILED, 1.0, 0.0, NOW)
    later = NOW + MIN_COOLDOWN + 1
    assert may_call(health.snapshot()["gemini"], later) == "probe"
    mine = tried(injector, "dynamodb-UpdateItem-1", fault, always, lambda: health.claim_probe("gemini", later))
    theirs = other.claim_probe("gemini", later)
    assert [mine, theirs].count(True) == (0 if always and fault == "lost" else 1)
    assert mine or always


@EACH_WAY
def test_a_slot_is_taken_once(fault: str, always: bool, jobs: Any, injector: Injector) -> None:
    slots = DynamoSlots("providers", {"leonardo_ai": 2})
    assert tried(
        injector, "dynamodb-UpdateItem-1", fault, always, lambda: slots.acquire("leonardo_ai", "c1", "a", NOW, NOW + 9)
    )
    held = not always or fault == "lost"
    assert slots.acquire("leonardo_ai", "c2", "b", NOW, NOW + 9)
    assert slots.acquire("leonardo_ai", "c3", "c", NOW, NOW + 9) == (not held)


@EACH_WAY
def test_a_project_is_made_by_whoever_made_it(fault: str, always: bool, jobs: Any, injector: Injector) -> None:
    projects = DynamoProjects("projects", "jobs", "images")
    mine, other = Project("acme", "p", "mine", NOW), Project("acme", "p", "other", NOW)
    made = tried(injector, "dynamodb-PutItem-1", fault, always, lambda: projects.create(mine))
    assert made is (None if always else True)
    assert projects.create(other) is (always and fault != "lost")


def moves(new: Job, jobs: Any) -> dict[str, tuple[str, Callable[[], Any]]]:
    """Each move of a job's record that is one write, and the call that it is."""
    made = jobs.claim("acme", new.id, NOW, NOW + 20)
    return {
        "renew": ("dynamodb-UpdateItem-1", lambda: jobs.renew(made, NOW + 99)),
        "save": ("dynamodb-UpdateItem-1", lambda: jobs.save(made)),
        "release": ("dynamodb-PutItem-1", lambda: jobs.release(made)),
        "fail": ("dynamodb-TransactWriteItems-1", lambda: jobs.finish(made.failed(NOW, "x", "y"))),
        "finish": ("dynamodb-TransactWriteItems-1", lambda: jobs.finish(_with_image(made, new))),
    }


def _with_image(made: Job, new: Job) -> Job:
    return replace(made, images=(image(new),)).completed(NOW + 3)


@EACH_WAY
@pytest.mark.parametrize("move", ["fail", "finish", "release", "renew", "save"])
def test_a_move_that_was_made_is_told_as_made(
    move: str, fault: str, always: bool, jobs: Any, injector: Injector
) -> None:
    new = job()
    jobs.create(new, None)
    call, act = moves(new, jobs)[move]
    assert tried(injector, call, fault, always, act) is (None if always else True)


@EACH_WAY
def test_a_claim_is_told_to_whoever_has_it(fault: str, always: bool, jobs: Any, injector: Injector) -> None:
    new = job()
    jobs.create(new, None)
    mine = tried(injector, "dynamodb-PutItem-1", fault, always, lambda: jobs.claim("acme", new.id, NOW, NOW + 20))
    assert (mine is None) == always
    theirs = jobs.claim("acme", new.id, NOW, NOW + 20)  # in the same instant, with the same lease
    assert (theirs is None) == (not always or fault == "lost")


@EACH_WAY
@pytest.mark.parametrize("keyed", [False, True])
def test_a_job_is_created_once(fault: str, always: bool, keyed: bool, jobs: Any, injector: Injector) -> None:
    new = job()
    key = Idempotency("acme", "k", "print", new.id, int(NOW) + 9) if keyed else None
    call = f"dynamodb-{'TransactWriteItems' if keyed else 'PutItem'}-1"
    answers: list[Any] = []
    tried(injector, call, fault, always, lambda: answers.append(jobs.create(new, key)))
    assert answers == ([] if always else [None])
    assert bool(jobs.get("acme", new.id)) == (not always or fault == "lost")


def test_a_job_of_the_same_id_by_another_request_is_no_retry(jobs: Any) -> None:
    new = job()
    jobs.create(new, None)
    with pytest.raises(RecordExists):
        jobs.create(replace(new, created_at=NOW + 1), None)
    with pytest.raises(RecordExists):
        jobs.create(replace(new, request_id="other"), Idempotency("acme", "k", "print", new.id, int(NOW) + 9))


@EACH_WAY
@pytest.mark.parametrize("keyed", [False, True])
def test_a_batch_is_created_once(fault: str, always: bool, keyed: bool, world_of: Open, injector: Injector) -> None:
    batches = world_of(FLOWS["make_project"]).deps.batches
    batch = Batch("acme", job().id, ("a", "b"), NOW, int(NOW) + 9)
    key = Idempotency("acme", "k", "print", batch.id, int(NOW) + 9) if keyed else None
    call = f"dynamodb-{'TransactWriteItems' if keyed else 'PutItem'}-1"
    answers: list[Any] = []
    tried(injector, call, fault, always, lambda: answers.append(batches.create(batch, key)))
    assert answers == ([] if always else [None])


@EACH_WAY
def test_an_image_is_dropped_by_one_who_knows_it(fault: str, always: bool, jobs: Any, injector: Injector) -> None:
    new = job()
    jobs.create(new, None)
    claimed = jobs.claim("acme", new.id, NOW, NOW + 20)
    assert jobs.finish(_with_image(claimed, new))
    call = "dynamodb-TransactWriteItems-1"
    mine = tried(injector, call, fault, always, lambda: jobs.drop_image("acme", image(new)))
    assert mine is (None if always else True)
    assert jobs.drop_image("acme", image(new)) is (always and fault != "lost")


def test_a_transaction_keeps_its_token_over_all_its_tries(jobs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By which DynamoDB knows again what it has written; the emulation does not."""
    db, tokens = aws.client("dynamodb"), []
    real = db.transact_write_items

    def contended(**asked: Any) -> Any:
        tokens.append(asked["ClientRequestToken"])
        if len(tokens) % 3:
            reasons = [{"Code": "TransactionConflict"}]
            error = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise db.exceptions.TransactionCanceledException(error, "TransactWriteItems")
        return real(**asked)

    monkeypatch.setattr(db, "transact_write_items", contended)
    for number in range(2):
        new = job()
        jobs.create(new, Idempotency("acme", f"k{number}", "print", new.id, int(NOW) + 9))
    assert len(tokens) == 6
    assert [len(set(tokens[:3])), len(set(tokens[3:])), len(set(tokens))] == [1, 1, 2]


def test_a_table_that_answers_in_parts_is_asked_for_the_rest_and_not_for_ever(
    jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [job(NOW + i) for i in range(3)]
    for one in made:
        jobs.create(one, None)
    ids = [one.id for one in made]
    db, sizes = aws.client("dynamodb"), []
    real = db.batch_get_item

    def one_at_a_time(RequestItems: dict[str, Any]) -> Any:
        keys = RequestItems["jobs"]["Keys"]
        sizes.append(len(keys))
        answer = real(RequestItems={"jobs": {"Keys": keys[:1]}})
        return answer | {"UnprocessedKeys": {"jobs": {"Keys": keys[1:]}} if keys[1:] else {}}

    monkeypatch.setattr(db, "batch_get_item", one_at_a_time)
    assert [item["sk"] for item in read_items("jobs", "acme", ids)] == ids
    assert sizes == [3, 2, 1]

    def none_at_all(RequestItems: dict[str, Any]) -> Any:
        sizes.append(0)
        return {"Responses": {}, "UnprocessedKeys": RequestItems}

    monkeypatch.setattr(db, "batch_get_item", none_at_all)
    with pytest.raises(Unavailable):
        read_items("jobs", "acme", ids)
    assert sizes.count(0) == MAX_READS

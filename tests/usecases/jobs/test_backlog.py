"""Early refusal: only of jobs that would wait too long, only for tenants that caused it, without a trace."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.domain.errors import IdempotencyMismatch, Overloaded
from lambdas.domain.jobs.job import COMPLETED, FAILED, QUEUED, Job
from lambdas.domain.jobs.request import Draft, ImageRequest
from lambdas.domain.limits.budget import Caps
from lambdas.domain.routing.health import NoFailure
from lambdas.usecases.jobs.generate import generate
from lambdas.usecases.jobs.run_job import run_job
from lambdas.usecases.jobs.submit_batch import submit_batch
from lambdas.usecases.jobs.submit_job import Caller
from tests.support.fakes import FakeBacklog, FakeProvider, FakeProviders, Fakes

# Before anything is seen an image is thought to take 10 s: 5 workers do 450 jobs in 900 s, which are 885 messages, as
# whatever waits for more than 30 s has two. A tenant's half of the workers do 225.
PLENTY, TOO_MANY = 885, 886
OWN = 225
FAR = 2e9


def service(messages: int | None = TOO_MANY, own: int = OWN + 1, **changes: Any) -> Fakes:
    ports: dict[str, Any] = {
        "providers": FakeProviders(bedrock=FakeProvider()),
        "backlog": FakeBacklog(messages, {"acme": own}),
        "max_queue_seconds": 900.0,
        "worker_concurrency": 5,
    }
    return Fakes(**(ports | changes))


def ask(deps: Fakes, key: str | None = None, *, respond_async: bool = True, **request: Any) -> tuple[Job, bool]:
    caller = Caller("acme", "req-1", key, "print")
    wanted = ImageRequest("a red fox", **request)
    return generate(Draft(wanted), caller, deps, respond_async=respond_async, deadline=deps.clock.now() + 25)


def test_what_would_wait_too_long_is_refused_and_leaves_no_trace() -> None:
    deps = service(caps=Caps(microusd=10**9))
    with pytest.raises(Overloaded) as refused:
        ask(deps, "key", project_id="new")
    assert refused.value.retry_after == 5
    assert "900 s" in refused.value.detail
    jobs = deps.jobs
    assert (jobs.rows, jobs.keys, jobs.books) == ({}, {}, {})
    assert deps.queue.sent == []
    assert deps.projects.rows == {}


@pytest.mark.parametrize(
    "admitted",
    [
        {"messages": PLENTY},
        {"messages": 0},
        {"messages": None},  # nobody knows
        {"own": OWN},  # others have caused it
        {"own": 0},
        {"worker_concurrency": 0},
        {"max_queue_seconds": 0.0},
        {"max_queue_seconds": 4000.0},
        {"worker_concurrency": 20},
    ],
    ids=str,
)
def test_everything_else_is_accepted(admitted: dict[str, Any]) -> None:
    job, _ = ask(service(**admitted))
    assert job.status == QUEUED


def test_the_own_jobs_are_counted_only_in_need_and_never_without_end() -> None:
    calm, rushed = service(PLENTY), service(own=1)
    ask(calm)
    ask(rushed)
    assert calm.backlog.counted == []
    assert rushed.backlog.counted == [("acme", 2 * OWN + 1)]


@pytest.mark.parametrize(
    ("messages", "own", "seconds"),
    [(TOO_MANY, 300, 5), (5000, 300, 300), (5000, 451, 904), (1000, 451, 115)],
)
def test_when_to_come_again(messages: int, own: int, seconds: int) -> None:
    with pytest.raises(Overloaded) as refused:
        ask(service(messages, own))
    assert refused.value.retry_after == seconds


def test_a_shorter_generation_timeout_is_the_deadline() -> None:
    deps = service(100, 40, generation_timeout=60.0)
    with pytest.raises(Overloaded, match="60 s"):
        ask(deps)
    assert ask(service(100, 40))[0].status == QUEUED


def test_the_mean_is_what_was_seen() -> None:
    deps = service()
    for _ in range(5):
        deps.health.observe("bedrock", "m", NoFailure.SUCCESS, 2.0, 0.04, deps.clock.now())
    assert ask(deps)[0].status == QUEUED  # five times as fast as was thought


def test_who_waits_for_the_answer_does_not_stand_in_line() -> None:
    job, _ = ask(service(), respond_async=False)
    assert job.status == COMPLETED


def test_a_used_key_answers_again_under_any_load() -> None:
    deps = service(0)
    first, replayed = ask(deps, "key")
    assert not replayed
    deps.backlog.messages = 100_000
    again, replayed = ask(deps, "key")
    assert (again.id, replayed) == (first.id, True)
    with pytest.raises(Overloaded):
        ask(deps, "other key")
    with pytest.raises(IdempotencyMismatch):
        generate(
            Draft(ImageRequest("a wolf")), Caller("acme", "r", "key", "other"), deps, respond_async=True, deadline=FAR
        )


def test_what_is_remembered_needs_no_worker() -> None:
    deps = service(0)
    first, _ = ask(deps, seed=7, cache=True)
    run_job("acme", first.id, deps.clock.now() + 800, deps)
    deps.health.rows.clear()  # it took no time, so that no load would be too much
    deps.backlog.messages = 100_000
    again, _ = ask(deps, seed=7, cache=True)
    assert (again.status, again.cached) == (COMPLETED, True)
    with pytest.raises(Overloaded):
        ask(deps, seed=8, cache=True)


def test_an_item_of_a_batch_is_refused_alone() -> None:
    deps = service(caps=Caps(microusd=10**9))
    [_batch, jobs, _] = submit_batch([Draft(ImageRequest("a")), Draft(ImageRequest("b"))], Caller("acme", "r"), deps)
    assert [(job.status, job.error and job.error.code) for job in jobs] == [(FAILED, "overloaded")] * 2
    assert deps.queue.sent == []
    assert all(job.reserved_microusd == 0 for job in jobs)
    calm = service(PLENTY)
    [_batch, jobs, _] = submit_batch([Draft(ImageRequest("a")), Draft(ImageRequest("b"))], Caller("acme", "r"), calm)
    assert [job.status for job in jobs] == [QUEUED] * 2

"""generate: when it answers at once, when it becomes a job, and idempotency."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.domain.errors import IdempotencyMismatch, NoneAvailable, StillInProgress
from lambdas.domain.failures import Failure
from lambdas.domain.jobs.job import COMPLETED, QUEUED, Job
from lambdas.domain.jobs.request import Draft, ImageRequest
from lambdas.usecases.jobs.generate import generate
from lambdas.usecases.jobs.submit_job import IDEMPOTENCY_SECONDS, Caller
from tests.support.fakes import FakeProvider, FakeProviders, FakeQueue, Fakes, FakeWorkers


def ask(deps: Fakes, key: str | None = None, fingerprint: str = "f", respond_async: bool = False) -> tuple[Job, bool]:
    caller = Caller("acme", "req", key, fingerprint)
    request = ImageRequest("a fox")
    return generate(Draft(request), caller, deps, respond_async=respond_async, deadline=deps.clock.now() + 26)


def bedrock(busy: bool = False, **changes: Any) -> tuple[Fakes, FakeWorkers, FakeProvider]:
    workers, provider = FakeWorkers(busy=busy), FakeProvider()
    return Fakes(workers=workers, providers=FakeProviders(bedrock=provider), **changes), workers, provider


def test_an_instant_model_answers_without_a_worker() -> None:
    workers = FakeWorkers()
    deps = Fakes(workers=workers)
    job, _ = ask(deps)
    assert job.status == COMPLETED
    assert workers.called == []


def test_a_paid_model_is_asked_by_a_worker_that_is_waited_for() -> None:
    deps, workers, _ = bedrock()
    job, _ = ask(deps)
    assert job.status == COMPLETED
    [(asked, seconds)] = workers.called
    assert asked == job.id
    assert seconds == pytest.approx(26)


def test_work_that_goes_on_is_answered_unfinished() -> None:
    deps, _, provider = bedrock(busy=True)
    job, _ = ask(deps)
    assert job.status == QUEUED
    assert [m["watchdog"] for m in deps.queue.sent] == [True]
    assert provider.orders == []


def test_respond_async_queues_and_does_nothing_else() -> None:
    deps, workers, provider = bedrock()
    job, _ = ask(deps, respond_async=True)
    assert job.status == QUEUED
    assert [(m["watchdog"], m["delay"] == 0) for m in deps.queue.sent] == [(True, False), (False, True)]
    assert (workers.called, provider.orders) == ([], [])


def test_the_watchdog_is_sent_before_the_record_is_there() -> None:
    class Looking(FakeQueue):
        def send(self, tenant: str, job_id: str, *, watchdog: bool, delay: int) -> None:
            super().send(tenant, job_id, watchdog=watchdog, delay=delay)
            found.append((watchdog, deps.jobs.get(tenant, job_id) is not None))

    found: list[tuple[bool, bool]] = []
    deps, _, _ = bedrock(queue=Looking())
    ask(deps, respond_async=True)
    assert found == [(True, False), (False, True)]


def test_the_same_key_gives_the_same_job_and_pays_once() -> None:
    deps, _, provider = bedrock()
    first, again = ask(deps, "k"), ask(deps, "k")
    assert (first[1], again[1]) == (False, True)
    assert first[0].id == again[0].id
    assert len(provider.orders) == 1


def test_the_same_key_for_something_else_is_refused() -> None:
    deps, _, provider = bedrock()
    ask(deps, "k")
    with pytest.raises(IdempotencyMismatch):
        ask(deps, "k", fingerprint="other")
    assert len(provider.orders) == 1


def test_the_same_key_while_the_first_is_in_progress() -> None:
    deps, _, _ = bedrock(busy=True)
    first, _ = ask(deps, "k")
    with pytest.raises(StillInProgress):
        ask(deps, "k")
    again, replayed = ask(deps, "k", respond_async=True)
    assert (again.id, replayed) == (first.id, True)


def test_a_key_is_free_again_after_a_day() -> None:
    deps, _, _provider = bedrock()
    first, _ = ask(deps, "k")
    deps.clock.sleep(IDEMPOTENCY_SECONDS + 1)
    second, replayed = ask(deps, "k")
    assert (first.id != second.id, replayed) == (True, False)


def test_a_key_is_its_tenants_own() -> None:
    deps, _, _ = bedrock()
    ask(deps, "k")
    other = Caller("umbrella", "req", "k", "f")
    _, replayed = generate(
        Draft(ImageRequest("a fox")), other, deps, respond_async=False, deadline=deps.clock.now() + 26
    )
    assert not replayed


def test_a_long_prompt_is_shortened_before_it_is_sent_and_the_job_says_so() -> None:
    deps, _, provider = bedrock()
    words = ", ".join(
        f"a {color} {thing}" for color in ("red", "teal", "golden") for thing in ("fox", "castle", "lake")
    )
    prompt = " ".join([words] * 40)[:9000]
    request = ImageRequest(prompt)
    job, _ = generate(Draft(request), Caller("acme", "r"), deps, respond_async=False, deadline=deps.clock.now() + 26)
    assert job.status == COMPLETED
    assert provider.orders[0].prompt == job.prompt
    assert 0 < len(job.prompt) < 3000
    assert job.rewriting and job.rewriting.method == "deterministic"
    plain = ImageRequest(prompt, optimize_prompt=False)
    job, _ = generate(Draft(plain), Caller("acme", "r"), deps, respond_async=False, deadline=deps.clock.now() + 26)
    assert provider.orders[1].prompt == prompt


def test_an_answer_is_given_again_also_while_no_provider_could_begin_it() -> None:
    deps, _, provider = bedrock()
    first, _ = ask(deps, "k")
    for _ in range(10):
        deps.health.observe("bedrock", first.model, Failure.UNAVAILABLE, 1.0, 0.0, deps.clock.now())
    with pytest.raises(NoneAvailable):
        ask(deps)
    again, replayed = ask(deps, "k")
    assert (again.id, replayed, len(provider.orders)) == (first.id, True, 1)
    with pytest.raises(IdempotencyMismatch):
        ask(deps, "k", fingerprint="other")


@pytest.mark.parametrize("left", [4.9, 0.0, -3.0])
def test_with_no_time_left_the_job_goes_by_the_queue(left: float) -> None:
    deps, workers, provider = bedrock()
    deadline = deps.clock.now() + left
    job, _ = generate(Draft(ImageRequest("a fox")), Caller("acme", "r"), deps, respond_async=False, deadline=deadline)
    assert not job.final
    assert [m["delay"] for m in deps.queue.sent if not m["watchdog"]] == [0]
    assert (workers.called, provider.orders) == ([], [])

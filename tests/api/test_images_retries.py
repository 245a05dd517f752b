"""Contract 7.4: clients that repeat a request by themselves get the first one's images, on fakes and on moto."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from lambdas.adapters.dynamodb.jobs import DynamoJobs
from lambdas.api import app
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs import asked as a
from lambdas.domain.jobs.job import JobFilter
from lambdas.domain.jobs.request import GeneratedImage, ImageTask
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.run_job import run_job
from tests.adapters.conftest import aws_in_process
from tests.adapters.conftest import serial as serial  # noqa: PLC0414 - the fixture
from tests.api.client import Answer, AnyClient
from tests.support.fakes import FakeClock, FakeLimits, FakeProvider, FakeProviders, Fakes, FakeWorkers

PATH = "/v1/images/generations"
CORE = "stability.stable-image-core-v1:1"
EVERY = JobFilter()


def _on(ports: Deps, jobs: DynamoJobs) -> Deps:
    return replace(ports, jobs=jobs)


class House:
    """A service with one paid provider. While `busy`, no job ends before the gateway's time."""

    def __init__(self, deps: Fakes, jobs: DynamoJobs | None) -> None:
        self.provider = FakeProvider()
        ports: Deps = replace(deps, providers=FakeProviders(bedrock=self.provider))
        if jobs:
            ports = _on(ports, jobs)
        self.deps = ports
        self.clock: FakeClock = deps.clock
        self.client = AnyClient(self.deps)

    @property
    def workers(self) -> FakeWorkers:
        found = self.deps.workers
        assert isinstance(found, FakeWorkers)
        return found

    def ask(self, count: int | None = 0, body: dict[str, Any] | None = None, /, **headers: str) -> Answer:
        sent = headers if count is None else {"X-Stainless-Retry-Count": str(count), **headers}
        return self.client("POST", PATH, {"prompt": "a fox", "model": CORE, **(body or {})}, sent)

    def finish(self) -> None:
        """Every job ends, as by its worker."""
        for job in self.deps.jobs.list("acme", EVERY, 100, None).jobs:
            run_job("acme", job.id, self.clock.now() + 800, self.deps)

    def restart(self) -> None:
        """Other processes with the same tables."""
        self.client = AnyClient(replace(self.deps))

    def jobs(self) -> int:
        return len(self.deps.jobs.list("acme", EVERY, 100, None).jobs)

    @property
    def paid(self) -> int:
        return len(self.provider.orders)


def made(answer: Answer) -> str:
    assert answer.status == 200, answer.body
    return str(answer.json()["metadata"]["generation_id"])


def left_open(answer: Answer) -> str:
    """The job of an answer that says to come back."""
    assert (answer.status, answer.json()["error"]["code"]) == (503, "generation_in_progress")
    assert answer.headers["x-should-retry"] == "true"
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    job_id = answer.headers["Location"].removeprefix("/prod/unified/jobs/")
    assert job_id in answer.json()["error"]["message"]
    return job_id


@pytest.fixture(params=["fakes", "moto"])
def house(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(app, "request_done", lambda *_: None)  # it is not made for threads
    if request.param == "fakes":
        yield House(Fakes(), None)
        return
    request.getfixturevalue("serial")
    with aws_in_process():
        yield House(Fakes(), DynamoJobs("jobs", "images"))


def at_once(house: House, count: int) -> list[Answer]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: house.ask(count), range(4)))


def test_7_4_a_repetition_takes_up_the_job_and_pays_nothing(house: House) -> None:
    house.workers.busy = True
    first = left_open(house.ask(0))
    assert left_open(house.ask(1)) == first
    house.finish()
    again = house.ask(2)
    assert made(again) == first
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (house.paid, house.jobs()) == (1, 1)


def test_7_4_four_equal_requests_at_once_each_with_repetitions(house: House) -> None:
    house.workers.busy = True
    first = {left_open(answer) for answer in at_once(house, 0)}
    assert len(first) == 4
    assert {left_open(answer) for answer in at_once(house, 1)} == first
    house.finish()
    assert {made(answer) for answer in at_once(house, 2)} == first
    assert (house.paid, house.jobs()) == (4, 4)


def test_7_4_a_repetition_waits_for_a_job_that_ends_meanwhile(house: House) -> None:
    house.workers.busy = True
    first = left_open(house.ask(0))
    slept = house.clock.sleep

    def sleep(seconds: float) -> None:
        slept(seconds)
        house.finish()

    house.clock.sleep = sleep  # type: ignore[method-assign]
    assert made(house.ask(1)) == first
    assert house.paid == 1


def test_7_4_a_repetition_after_success_gets_the_same_images(house: House) -> None:
    """The answer was lost on its way."""
    first = house.ask(0)
    again = house.ask(1)
    assert again.json()["data"] == first.json()["data"]
    assert made(again) == made(first)
    assert house.paid == 1


def test_7_4_a_first_sending_is_a_request_of_its_own(house: House) -> None:
    assert made(house.ask(0)) != made(house.ask(0))
    assert made(house.ask(None)) != made(house.ask(None))
    assert house.paid == 4


def test_7_4_a_repetition_of_something_else_is_a_request_of_its_own(house: House) -> None:
    first = made(house.ask(0))
    other = made(house.ask(1, {"size": "512x512"}))
    assert other != first
    assert made(house.ask(1, {"prompt": "a dog"})) not in (first, other)
    house.client.identity = {"tenant": "umbrella", "auth": "ok"}
    assert made(house.ask(1)) != first
    assert house.paid == 4


def test_7_4_a_repetition_of_what_never_came_is_made(house: House) -> None:
    assert made(house.ask(1))
    assert house.paid == 1


def test_7_4_a_restart_between_changes_nothing(house: House) -> None:
    house.workers.busy = True
    first = left_open(house.ask(0))
    house.restart()
    house.finish()
    assert made(house.ask(1)) == first
    assert house.paid == 1


def test_7_4_a_job_that_failed_for_nothing_is_made_anew(house: House) -> None:
    house.provider.script = [ProviderFailure(Failure.FAILED, "broken")] * 3
    failed = house.ask(0)
    assert (failed.status, failed.headers["x-should-retry"]) == (502, "true")
    again = house.ask(1)
    assert made(again) != failed.json()["generation_id"]
    assert house.jobs() == 2
    assert made(house.ask(2)) == made(again)
    assert house.jobs() == 2


def test_7_4_a_job_that_may_have_been_paid_for_is_not_made_anew(house: House) -> None:
    house.provider.script = [ProviderFailure(Failure.OUTCOME_UNKNOWN, "reset", paid="unknown")] * 9
    failed = house.ask(0)
    again = house.ask(1)
    assert [answer.headers["x-should-retry"] for answer in (failed, again)] == ["false", "false"]
    assert again.json()["generation_id"] == failed.json()["generation_id"]
    assert house.jobs() == 1


def test_7_4_a_refusal_is_told_again_and_nobody_is_asked(house: House) -> None:
    house.provider.script = [ProviderFailure(Failure.CONTENT_POLICY, "no")]
    answers = [house.ask(0), house.ask(1)]
    assert [answer.status for answer in answers] == [422, 422]
    assert house.paid == 1


def test_7_4_a_client_that_does_not_count_comes_back_as_it_was_told(house: House) -> None:
    house.workers.busy = True
    first = left_open(house.ask(None))
    assert left_open(house.ask(None)) == first
    house.finish()
    house.workers.busy = False
    assert made(house.ask(None)) == first
    assert made(house.ask(None)) != first
    assert house.paid == 2


def test_7_4_an_idempotency_key_goes_before_the_count(house: House) -> None:
    made(house.ask(0))
    keyed = made(house.ask(1, **{"Idempotency-Key": "k"}))
    assert made(house.ask(0, **{"Idempotency-Key": "k"})) == keyed
    other = house.ask(2, {"prompt": "a dog"}, **{"Idempotency-Key": "k"})
    assert (other.status, other.headers["x-should-retry"]) == (409, "false")
    assert house.paid == 2


def test_7_4_a_repetition_under_a_key_waits_and_a_second_request_is_409(house: House) -> None:
    house.workers.busy = True
    key = {"Idempotency-Key": "k"}
    first = left_open(house.ask(0, **key))
    second = house.ask(0, **key)
    assert (second.status, second.json()["error"]["code"]) == (409, "still_in_progress")
    assert second.headers["x-should-retry"] == "true"
    assert left_open(house.ask(1, **key)) == first
    house.finish()
    assert made(house.ask(2, **key)) == first
    assert house.paid == 1


def test_7_4_a_repetition_of_a_job_is_let_through_where_the_rate_is_used_up(house: House) -> None:
    house.deps = replace(house.deps, limits=FakeLimits(1))
    house.client = AnyClient(house.deps)
    first = made(house.ask(0))
    assert house.ask(0).status == 429
    assert made(house.ask(1)) == first
    assert house.ask(1, {"prompt": "a dog"}).status == 429


def test_7_4_respond_async_is_repeated_as_well(house: House) -> None:
    asks = [house.ask(count, Prefer="respond-async") for count in (0, 1)]
    assert [answer.status for answer in asks] == [202, 202]
    assert asks[0].json() == asks[1].json()
    assert house.jobs() == 1


def test_7_4_what_was_asked_long_ago_is_not_taken_up(house: House) -> None:
    first = made(house.ask(0))
    house.clock.sleep(a.ANSWERED_SECONDS + 1)
    assert made(house.ask(1)) != first


class Gate:
    """Lets painters through when it is told to, so that requests are at work while others come."""

    def __init__(self) -> None:
        self.waiting: dict[str, threading.Event] = {}
        self.came = threading.Semaphore(0)

    def __call__(self, order: ImageTask) -> GeneratedImage:
        passed = self.waiting.setdefault(order.owner.partition("/")[2], threading.Event())
        self.came.release()
        assert passed.wait(20)
        return GeneratedImage(b"%dx%d:%d" % (*order.generate, order.seed), order.seed)


def test_7_4_a_repetition_while_equal_requests_are_at_work_takes_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first of three gave up, as it has waited longest; the others get their own images."""
    monkeypatch.setattr(app, "request_done", lambda *_: None)
    deps, gate = Fakes(), Gate()
    house, clock = House(deps, None), deps.clock
    monkeypatch.setattr(clock, "sleep", lambda _seconds: threading.Event().wait(0.01))
    house.provider.script = [gate] * 3
    with ThreadPoolExecutor(4) as pool:
        running = []
        for _ in range(3):
            running.append(pool.submit(house.ask, 0))
            assert gate.came.acquire(timeout=20)
            clock.time += 1
        repetition = pool.submit(house.ask, 1)
        while not any(row.number for row in deps.jobs.askings.values()):
            threading.Event().wait(0.005)
        for passed in gate.waiting.values():
            passed.set()
        given_up, *alive = [made(future.result(30)) for future in running]
        assert made(repetition.result(30)) == given_up
    assert len({given_up, *alive}) == 3
    assert house.paid == 3

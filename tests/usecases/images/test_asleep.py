"""A GPU that is asleep: other providers are preferred, and jobs that need it wait without a worker."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from lambdas.domain import catalogue
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.job import CANCELLED, COMPLETED, FAILED, QUEUED, Job
from lambdas.domain.jobs.request import Draft, GeneratedImage, ImageRequest, ImageTask, Ticket
from lambdas.domain.routing.health import ASLEEP_SECONDS, Health
from lambdas.usecases.images.ask_provider import MAX_STAY_SECONDS, MAX_WAIT
from lambdas.usecases.jobs.generate import generate
from lambdas.usecases.jobs.handle_message import handle_job_message
from lambdas.usecases.jobs.requeue import requeue_finished_job
from lambdas.usecases.jobs.run_job import MAX_RUNS, run_job
from lambdas.usecases.jobs.submit_job import WATCHDOG_SECONDS, Caller, submit_job
from tests.support.fakes import FakeClock, FakeHealth, FakeProvider, FakeProviders, Fakes

TURBO = catalogue.cards_of("sagemaker")[0]


@dataclass
class Gpu:
    """An asynchronous endpoint that wakes `seconds` after its first order."""

    clock: FakeClock
    seconds: float = 300.0
    client_chooses_id = False
    notifies_completion = True
    orders: list[ImageTask] = field(default_factory=list)
    looks: int = 0
    awake: float = 0.0

    def submit(self, order: ImageTask, timeout: float) -> Ticket:
        self.awake = self.awake or self.clock.now() + self.seconds
        self.orders.append(order)
        return Ticket(f"place-{len(self.orders)}")

    def collect(self, ticket: Ticket, order: ImageTask, timeout: float) -> GeneratedImage | None:
        self.looks += 1
        return GeneratedImage(b"%dx%d:x" % order.generate, order.seed) if self.clock.now() >= self.awake else None


def gpu(seconds: float = 300.0, *, bedrock: bool = False, **changes: Any) -> tuple[Fakes, Gpu, FakeProvider]:
    clock, other = FakeClock(), FakeProvider()
    made = Gpu(clock, seconds)
    providers = {"sagemaker": made, **({"bedrock": other} if bedrock else {})}
    return Fakes(clock=clock, providers=FakeProviders(**providers), **changes), made, other  # type: ignore[arg-type]


def submitted(deps: Fakes, **request: object) -> Job:
    return submit_job(ImageRequest("x", **request), Caller("acme", "r"), deps)[0]  # type: ignore[arg-type]


def attend(deps: Fakes, job: Job, *, watchdog: bool = False) -> Job:
    handle_job_message("acme", job.id, deps.clock.now() + 887, deps, watchdog=watchdog)
    found = deps.jobs.get("acme", job.id)
    assert found
    return found


# Who can be served elsewhere


def test_a_request_bursts_to_another_provider_and_the_receipt_says_so() -> None:
    deps, at, other = gpu(bedrock=True)
    job = attend(deps, submitted(deps))
    assert (job.status, job.provider) == (COMPLETED, "bedrock")
    first, second = job.attempts
    assert (first.provider, first.outcome, first.error_code, first.cost_usd) == ("sagemaker", "failed", "timeout", 0)
    assert (second.provider, second.outcome) == ("bedrock", "success")
    assert deps.clock.now() - job.created_at <= 10 + MAX_WAIT
    assert len(at.orders) == len(other.orders) == 1


def test_a_burst_is_no_loss_so_that_all_others_may_still_be_asked() -> None:
    deps, _, other = gpu(bedrock=True)
    other.script = [ProviderFailure(Failure.OUTCOME_UNKNOWN, "x", paid="unknown")] * 2
    job = attend(deps, submitted(deps))
    assert [a.outcome for a in job.attempts].count("unknown") == 1
    assert job.attempts[0].outcome == "failed"


def test_the_next_ones_go_elsewhere_at_once_until_it_may_be_awake() -> None:
    deps, at, _ = gpu(bedrock=True)
    attend(deps, submitted(deps))
    second = submitted(deps)
    assert second.provider == "bedrock"
    began = deps.clock.now()
    assert attend(deps, second).status == COMPLETED
    assert deps.clock.now() == began
    assert len(at.orders) == 1
    deps.clock.sleep(ASLEEP_SECONDS)
    assert submitted(deps).provider == "sagemaker"


def test_an_image_from_it_says_that_it_is_awake() -> None:
    now = FakeClock().now()
    deps, _, _ = gpu(0, bedrock=True, health=FakeHealth(sagemaker=Health(asleep_until=now + 50, updated=now)))
    assert attend(deps, submitted(deps, model=TURBO.id)).provider == "sagemaker"
    assert submitted(deps).provider == "sagemaker"


def test_a_sleeper_never_rests_so_that_who_can_only_wait_for_it_is_not_refused() -> None:
    deps, _, _ = gpu(bedrock=True)
    for _ in range(6):
        attend(deps, submitted(deps, model=TURBO.id))
    assert submitted(deps, model=TURBO.id, fallback=False).plan == (TURBO.id,)


def test_a_late_result_is_let_go() -> None:
    deps, at, _ = gpu(bedrock=True)
    job = attend(deps, submitted(deps))
    deps.clock.sleep(at.seconds)
    assert not requeue_finished_job("acme", job.id, deps)
    assert attend(deps, job, watchdog=True) == job


# Who can only wait


def test_a_worker_leaves_and_the_notice_brings_the_image() -> None:
    deps, at, _ = gpu()
    job = submitted(deps)
    began = deps.clock.now()
    waiting = attend(deps, job)
    assert (waiting.status, waiting.lease_until, waiting.attempts[-1].ticket) == (QUEUED, 0, "place-1")
    assert deps.clock.now() - began == pytest.approx(MAX_STAY_SECONDS)
    deps.clock.sleep(at.seconds)
    assert requeue_finished_job("acme", job.id, deps)
    done = attend(deps, job)
    assert (done.status, len(at.orders), len(done.attempts)) == (COMPLETED, 1, 1)
    assert done.attempts[0].outcome == "success"


def test_without_the_notice_the_watchdog_brings_it() -> None:
    deps, at, _ = gpu(600)
    job = attend(deps, submitted(deps))
    runs = 0
    while not job.final:
        deps.clock.sleep(WATCHDOG_SECONDS)
        began = deps.clock.now()
        job = attend(deps, job, watchdog=True)
        runs += 1
        assert deps.clock.now() == began, "a look takes no time"
    assert job.status == COMPLETED
    assert runs > MAX_RUNS  # a job that was given back is not taken for one whose runs die
    assert len(at.orders) == 1


def test_a_look_that_finds_nothing_sends_no_message_of_its_own() -> None:
    deps, _, _ = gpu()
    job = submitted(deps)
    deps.queue.sent.clear()
    attend(deps, job)
    assert deps.queue.sent == []


def test_one_that_never_wakes_ends_the_job_after_the_models_own_time() -> None:
    deps, _, _ = gpu(10**6)
    job = submitted(deps)
    began = deps.clock.now()
    while not job.final:
        job = attend(deps, job, watchdog=True)
        deps.clock.sleep(WATCHDOG_SECONDS)
    assert job.status == FAILED
    assert job.error
    assert job.error.code == "generation_timeout"
    assert 0 <= deps.clock.now() - began - TURBO.max_seconds <= 2 * WATCHDOG_SECONDS


def test_the_time_of_a_generation_holds_while_it_sleeps() -> None:
    deps, _, _ = gpu(10**6, generation_timeout=100.0)
    job = attend(deps, submitted(deps))
    assert job.status == QUEUED
    deps.clock.sleep(50)
    job = attend(deps, job)
    assert job.error
    assert job.error.code == "generation_timeout"


def test_a_client_that_waits_is_answered_that_it_goes_on() -> None:
    deps, _, _ = gpu()
    job, replayed = generate(
        Draft(ImageRequest("x")), Caller("acme", "r"), deps, respond_async=False, deadline=deps.clock.now() + 25
    )
    assert (job.status, replayed) == (QUEUED, False)


def test_a_job_that_waits_can_be_cancelled_and_its_result_is_let_go() -> None:
    deps, at, _ = gpu()
    job = attend(deps, submitted(deps))
    assert deps.jobs.cancel("acme", job.id, deps.clock.now())
    deps.clock.sleep(at.seconds)
    assert not requeue_finished_job("acme", job.id, deps)
    assert attend(deps, job).status == CANCELLED


def test_a_run_that_was_cut_off_with_others_left_goes_to_them() -> None:
    deps, _, other = gpu(bedrock=True)
    job = submitted(deps)
    claimed = deps.jobs.claim("acme", job.id, deps.clock.now(), deps.clock.now() + 20)
    assert claimed
    from lambdas.domain.jobs.job import Attempt

    attempt = Attempt("sagemaker", TURBO.id, started_at=deps.clock.now(), ticket="place-1")
    assert deps.jobs.save(replace(claimed, attempts=(attempt,)))
    deps.providers.get("sagemaker").awake = 10**12  # type: ignore[union-attr]
    deps.clock.sleep(21)
    job = attend(deps, job)
    assert (job.status, job.provider, len(other.orders)) == (COMPLETED, "bedrock", 1)


def test_a_job_that_waits_is_painted_anew_where_an_endpoint_of_another_kind_took_the_place_of_its_own() -> None:
    """Its work went with the old endpoint, and cost nothing."""
    deps, _, _ = gpu(10**6)
    job = attend(deps, submitted(deps))
    assert job.attempts[-1].ticket
    realtime = FakeProvider()
    assert isinstance(deps.providers, FakeProviders)
    deps.providers.providers["sagemaker"] = realtime
    deps.clock.sleep(WATCHDOG_SECONDS)
    job = attend(deps, job, watchdog=True)
    assert (job.status, job.provider, len(realtime.orders)) == (COMPLETED, "sagemaker", 1)
    assert [a.outcome for a in job.attempts] == ["unknown", "success"]


def test_a_job_of_several_images_waits_for_each_on_its_own() -> None:
    deps, at, _ = gpu(100)
    job = attend(deps, submitted(deps, n=2))
    assert (job.status, len(job.images)) == (QUEUED, 0)
    deps.clock.sleep(100)
    job = attend(deps, job)
    assert (job.status, len(job.images), len(at.orders)) == (COMPLETED, 2, 2)


def test_a_run_that_lost_the_job_gives_nothing_back() -> None:
    deps, _, _ = gpu()
    job = submitted(deps)
    release = deps.jobs.release

    def late(job: Job) -> bool:
        deps.jobs.rows["acme", job.id] = replace(job, fence=job.fence + 1)
        return release(job)

    deps.jobs.release = late  # type: ignore[method-assign]
    run_job("acme", job.id, deps.clock.now() + 887, deps)
    found = deps.jobs.get("acme", job.id)
    assert found
    assert found.status != QUEUED

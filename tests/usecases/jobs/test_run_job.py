"""run_job: one claim, one paid call per image, one final state, after any failure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambdas.domain.catalogue.sizes import Sizing
from lambdas.domain.failures import Failure, Paid, ProviderFailure
from lambdas.domain.jobs.job import COMPLETED, FAILED, RUNNING, Attempt, Job
from lambdas.domain.jobs.request import GeneratedImage, ImageRequest, ImageTask
from lambdas.usecases.jobs.handle_message import fail_dead_lettered_job, handle_job_message
from lambdas.usecases.jobs.run_job import LEASE_SECONDS, MAX_RUNS, RESERVE_SECONDS, run_job
from lambdas.usecases.jobs.submit_job import WATCHDOG_SECONDS, Caller, submit_job
from tests.support.fakes import FakeBlobs, FakeProvider, FakeProviders, Fakes

CORE = "stability.stable-image-core-v1:1"


def bedrock(*script: object, **changes: Any) -> tuple[Fakes, FakeProvider]:
    provider = FakeProvider(list(script))  # type: ignore[arg-type]
    return Fakes(providers=FakeProviders(bedrock=provider), **changes), provider


def submitted(deps: Fakes, **request: object) -> Job:
    job, _ = submit_job(ImageRequest("a red fox", **request), Caller("acme", "req-1"), deps)  # type: ignore[arg-type]
    return job


def run(deps: Fakes, job: Job) -> Job:
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended is not None
    return ended


def test_a_job_ends_with_its_image_and_receipt() -> None:
    """Contract 6.1: under which key."""
    deps, _provider = bedrock()
    job = run(deps, submitted(deps, width=512, height=512, seed=7))
    assert job.status == COMPLETED
    [image] = job.images
    assert image.key == f"images/acme/default/bedrock/{image.name}"
    assert (image.width, image.height, image.seed) == (512, 512, 7)
    assert deps.blobs.get(image.key) == b"512x512:png:7"
    [attempt] = job.attempts
    assert (attempt.outcome, attempt.cost_usd, attempt.model) == ("success", 0.04, CORE)
    assert job.sizing == Sizing("1024x1024", "512x512", "reduced")
    assert deps.jobs.find_image("acme", image.name) == image


def test_several_images_have_seeds_in_a_row_and_one_call_each() -> None:
    deps, provider = bedrock()
    job = run(deps, submitted(deps, n=3, seed=41))
    assert [i.seed for i in job.images] == [41, 42, 43]
    assert len({i.key for i in job.images}) == 3
    assert len(provider.orders) == 3
    assert job.cost_usd == pytest.approx(0.12)


def test_the_intent_is_on_record_before_the_paid_call() -> None:
    seen: list[Job | None] = []
    deps, provider = bedrock()
    job = submitted(deps)
    provider.script = [lambda o: (seen.append(deps.jobs.get("acme", job.id)), GeneratedImage(b"1024x1024:x"))[1]]
    run(deps, job)
    assert seen[0] and seen[0].status == RUNNING
    assert seen[0].attempts[-1].outcome == "unknown"


def test_the_bytes_are_stored_before_they_are_looked_at() -> None:
    deps, _ = bedrock(lambda o: GeneratedImage(b"not a picture"))
    job = run(deps, submitted(deps))
    assert (job.status, job.error and job.error.code) == (FAILED, "providers_failed")
    assert deps.blobs.get(f"raw/acme/{job.id}/0") == b"not a picture"
    assert job.attempts[0].error_code == "bad_answer"


@pytest.mark.parametrize(
    ("failure", "code", "outcome"),
    [
        (ProviderFailure(Failure.CONTENT_POLICY, "no"), "content_policy", "refused"),
        (ProviderFailure(Failure.TIMEOUT, "slow", paid="unknown"), "generation_timeout", "unknown"),
        (ProviderFailure(Failure.OUTCOME_UNKNOWN, "reset", paid="unknown"), "outcome_unknown", "unknown"),
        (ProviderFailure(Failure.NOT_AUTHORIZED, "denied"), "providers_failed", "failed"),
        (ProviderFailure(Failure.FAILED, "inference error", paid="unknown"), "providers_failed", "failed"),
    ],
)
def test_a_failure_that_waiting_does_not_cure_is_one_call(failure: ProviderFailure, code: str, outcome: str) -> None:
    deps, provider = bedrock(failure)
    job = run(deps, submitted(deps))
    assert job.status == FAILED
    assert job.error and job.error.code == code
    assert [a.outcome for a in job.attempts] == [outcome]
    assert job.cost_usd == 0
    assert len(provider.orders) == 1


def test_throttling_is_waited_out_by_the_providers_own_hint() -> None:
    deps, provider = bedrock(
        ProviderFailure(Failure.THROTTLED, "slow down", retry_after=7), ProviderFailure(Failure.UNAVAILABLE, "x")
    )
    job = run(deps, submitted(deps))
    assert job.status == COMPLETED
    assert [a.error_code for a in job.attempts] == ["throttled", "unavailable", None]
    assert deps.clock.slept[0] == 7
    assert len(provider.orders) == 3


def test_retries_end() -> None:
    deps, provider = bedrock(*[ProviderFailure(Failure.THROTTLED, "slow down")] * 9)
    job = run(deps, submitted(deps))
    assert (job.status, len(provider.orders)) == (FAILED, 3)


def test_a_hint_past_the_deadline_is_not_waited_for() -> None:
    deps, _provider = bedrock(ProviderFailure(Failure.THROTTLED, "slow down", retry_after=900))
    assert run(deps, submitted(deps)).status == FAILED
    assert deps.clock.slept == []


def test_the_generation_timeout_bounds_the_call() -> None:
    deps, provider = bedrock(generation_timeout=5.0)
    run(deps, submitted(deps))
    assert provider.timeouts[0] == pytest.approx(5.0)


def test_a_job_that_waited_too_long_is_not_begun() -> None:
    deps, provider = bedrock(generation_timeout=5.0)
    job = submitted(deps)
    deps.clock.sleep(6)
    ended = run(deps, job)
    assert ended.error and ended.error.code == "generation_timeout"
    assert provider.orders == []


def interrupted(deps: Fakes, job: Job) -> Job:
    """The record as a run leaves it that is killed during its paid call."""
    now = deps.clock.now()
    claimed = deps.jobs.claim(job.tenant, job.id, now, now + LEASE_SECONDS)
    assert claimed
    attempt = Attempt(claimed.provider, claimed.model, started_at=now)
    claimed = replace(claimed, attempts=(attempt,))
    assert deps.jobs.save(claimed)
    return claimed


def test_a_running_job_is_left_alone_until_its_lease_has_passed() -> None:
    deps, provider = bedrock()
    job = submitted(deps)
    interrupted(deps, job)
    assert run(deps, job).status == RUNNING
    assert provider.orders == []


def test_an_interrupted_paid_call_is_not_repeated() -> None:
    deps, provider = bedrock()
    job = submitted(deps)
    interrupted(deps, job)
    deps.clock.sleep(LEASE_SECONDS + 1)
    ended = run(deps, job)
    assert ended.error and ended.error.code == "outcome_unknown"
    assert [a.outcome for a in ended.attempts] == ["unknown"]
    assert provider.orders == []
    assert deps.health.observed == []  # our own crash says nothing about the provider


def test_an_interrupted_run_that_had_stored_the_bytes_is_finished_from_them() -> None:
    deps, provider = bedrock()
    job = submitted(deps)
    interrupted(deps, job)
    deps.blobs.put(f"raw/acme/{job.id}/0", b"1024x1024:paid", "application/octet-stream")
    deps.clock.sleep(LEASE_SECONDS + 1)
    ended = run(deps, job)
    assert ended.status == COMPLETED
    assert [(a.outcome, a.cost_usd) for a in ended.attempts] == [("success", 0.04)]
    assert provider.orders == []
    assert deps.meter.takeovers == 1
    assert deps.health.observed == []


@pytest.mark.parametrize("times", [1, MAX_RUNS - 1])
def test_an_interrupted_free_call_is_made_again(times: int) -> None:
    def dies(order: ImageTask) -> GeneratedImage:
        raise KeyboardInterrupt

    deps = Fakes(providers=FakeProviders(demo=FakeProvider([dies] * times)))
    job = submitted(deps)
    for _ in range(times):
        with pytest.raises(KeyboardInterrupt):
            run(deps, job)
        deps.clock.sleep(LEASE_SECONDS + 1)
    ended = run(deps, job)
    assert ended.status == COMPLETED
    assert [a.outcome for a in ended.attempts] == [*["unknown"] * times, "success"]


def test_a_zombie_run_cannot_write_over_its_successor() -> None:
    def slow(order: ImageTask) -> GeneratedImage:
        deps.clock.sleep(LEASE_SECONDS + 1)
        run_job(job.tenant, job.id, deps.clock.now() + 800, deps)  # the successor finds the unknown call
        return GeneratedImage(b"1024x1024:late")

    deps, _ = bedrock(slow)
    job = submitted(deps)
    ended = run(deps, job)
    assert ended.error and ended.error.code == "outcome_unknown"
    assert ended.images == ()


def test_a_run_that_lost_its_job_makes_no_further_image() -> None:
    def slow(order: ImageTask) -> GeneratedImage:
        deps.clock.sleep(LEASE_SECONDS + 1)
        assert deps.jobs.claim(job.tenant, job.id, deps.clock.now(), deps.clock.now() + LEASE_SECONDS)
        return GeneratedImage(b"1024x1024:late")

    deps, provider = bedrock(slow)
    job = submitted(deps, n=2)
    assert run(deps, job).status == RUNNING
    assert len(provider.orders) == 1


@pytest.mark.parametrize(("died", "status"), [(MAX_RUNS - 1, COMPLETED), (MAX_RUNS, FAILED)])
def test_a_job_that_kills_its_workers_is_given_up(died: int, status: str) -> None:
    deps, provider = bedrock()
    job = submitted(deps)
    for _ in range(died):
        assert deps.jobs.claim(job.tenant, job.id, deps.clock.now(), deps.clock.now() + LEASE_SECONDS)
        deps.clock.sleep(LEASE_SECONDS + 1)
    assert run(deps, job).status == status
    assert len(provider.orders) == int(status == COMPLETED)


def test_the_last_seconds_are_kept_to_store_what_came() -> None:
    deps, provider = bedrock()
    job = submitted(deps)
    assert run_job(job.tenant, job.id, deps.clock.now() + 20, deps)
    assert provider.timeouts == [20 - RESERVE_SECONDS]


@pytest.mark.parametrize(("paid", "stored"), [("unknown", b"no image"), ("no", None)])
def test_an_answer_that_cannot_be_read_is_kept_where_it_may_be_paid(paid: Paid, stored: bytes | None) -> None:
    deps, _ = bedrock(ProviderFailure(Failure.BAD_ANSWER, "unreadable", paid=paid, answer=b"no image"))
    job = run(deps, submitted(deps))
    assert (job.status, deps.blobs.get(f"raw/acme/{job.id}/0")) == (FAILED, stored)


def test_a_final_job_is_not_run_again() -> None:
    deps, provider = bedrock()
    job = submitted(deps)
    first, second = run(deps, job), run(deps, job)
    assert first.images == second.images
    assert len(provider.orders) == 1


def test_the_watchdog_follows_a_job_until_it_has_ended() -> None:
    deps, _ = bedrock()
    job = submitted(deps)
    assert deps.queue.sent == [{"tenant": "acme", "job_id": job.id, "watchdog": True, "delay": WATCHDOG_SECONDS}]
    assert WATCHDOG_SECONDS > LEASE_SECONDS
    interrupted(deps, job)
    handle_job_message(job.tenant, job.id, deps.clock.now() + 800, deps, watchdog=True)
    assert len(deps.queue.sent) == 2
    deps.clock.sleep(WATCHDOG_SECONDS)
    handle_job_message(job.tenant, job.id, deps.clock.now() + 800, deps, watchdog=True)
    ended = deps.jobs.get(job.tenant, job.id)
    assert ended and ended.final
    sent = len(deps.queue.sent)
    handle_job_message(job.tenant, job.id, deps.clock.now() + 800, deps, watchdog=True)
    assert len(deps.queue.sent) == sent


def test_a_message_about_an_unknown_job_is_let_go() -> None:
    deps, _ = bedrock()
    handle_job_message("acme", "0", deps.clock.now() + 800, deps, watchdog=True)
    assert deps.queue.sent == []


def test_giving_up_ends_a_free_job_and_waits_for_a_held_one() -> None:
    deps, _ = bedrock()
    job = submitted(deps)
    interrupted(deps, job)
    assert not fail_dead_lettered_job(job.tenant, job.id, deps)
    deps.clock.sleep(LEASE_SECONDS + 1)
    assert fail_dead_lettered_job(job.tenant, job.id, deps)
    ended = deps.jobs.get(job.tenant, job.id)
    assert ended and ended.status == FAILED
    assert fail_dead_lettered_job(job.tenant, job.id, deps)


def test_a_lost_write_of_the_bytes_leaves_the_job_to_its_watchdog() -> None:
    class Broken(FakeBlobs):
        def put(self, *_: Any, **__: Any) -> None:
            raise OSError("no space")

    deps, _provider = bedrock(blobs=Broken())
    job = submitted(deps)
    with pytest.raises(OSError, match="no space"):
        run(deps, job)
    left = deps.jobs.get(job.tenant, job.id)
    assert left and left.status == RUNNING
    assert left.attempts[-1].outcome == "unknown"

"""Providers without a free slot are skipped, and a job that finds none holds no worker."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.ids import call_id
from lambdas.domain.jobs.job import CANCELLED, COMPLETED, FAILED, QUEUED, Attempt, Job
from lambdas.domain.jobs.request import GeneratedImage, ImageRequest, ImageTask
from lambdas.domain.limits.slots import Slot
from lambdas.domain.routing.health import Health
from lambdas.usecases.images.make_image import ROOM_SECONDS
from lambdas.usecases.jobs.handle_message import handle_job_message
from lambdas.usecases.jobs.run_job import LEASE_SECONDS, MAX_RUNS, run_job
from lambdas.usecases.jobs.submit_job import WATCHDOG_SECONDS, Caller, submit_job
from tests.support.fakes import FakeClock, FakeProvider, FakeProviders, Fakes, FakeSlots

FOREVER = 10_000_000.0


class SlotsOverTime(FakeSlots):
    """Slots that free themselves while somebody sleeps, as they do while other functions work."""

    def __init__(self, clock: FakeClock, **caps: int) -> None:
        super().__init__(**caps)
        self.clock = clock
        self.asked: list[str] = []

    def acquire(self, provider: str, call: str, tenant: str, now: float, until: float) -> bool:
        self.asked.append(provider)
        return super().acquire(provider, call, tenant, now, until)

    def fill(self, provider: str, seconds: float = FOREVER, tenant: str = "others") -> None:
        """Others hold every slot for so long."""
        for number in range(self.caps[provider]):
            until = self.clock.now() + seconds
            assert self.acquire(provider, f"{tenant}{number}", f"{tenant}{number}", self.clock.now(), until)
        self.asked.clear()


def house(*names: str, caps: dict[str, int], **changes: Any) -> tuple[Fakes, dict[str, FakeProvider], SlotsOverTime]:
    providers = {name: FakeProvider() for name in names}
    clock = FakeClock()
    slots = SlotsOverTime(clock, **caps)
    return Fakes(providers=FakeProviders(**providers), clock=clock, slots=slots, **changes), providers, slots


def submitted(deps: Fakes, **request: Any) -> Job:
    job, _ = submit_job(ImageRequest("a red fox", **request), Caller("acme", "req-1"), deps)
    deps.queue.sent.clear()
    return job


def run(deps: Fakes, job: Job, **how: Any) -> Job:
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps, **how)
    assert ended
    return ended


def test_a_call_holds_a_slot_and_gives_it_back() -> None:
    held: list[int] = []
    deps, providers, slots = house("bedrock", caps={"bedrock": 2})

    def look(order: ImageTask) -> GeneratedImage:
        held.append(len(slots.held["bedrock"]))
        [slot] = slots.held["bedrock"].values()
        assert (slot.tenant, slot.until) == ("acme", deps.clock.now() + 300 + 15)
        return GeneratedImage(b"1024x1024:x")

    providers["bedrock"].script = [look, ProviderFailure(Failure.THROTTLED, "busy", retry_after=3), look]
    assert run(deps, submitted(deps, n=2)).status == COMPLETED
    assert held == [1, 1]
    assert slots.held["bedrock"] == {}


def test_a_call_that_fails_gives_its_slot_back() -> None:
    deps, providers, slots = house("bedrock", caps={"bedrock": 1})
    providers["bedrock"].script = [ProviderFailure(Failure.CONTENT_POLICY, "no")]
    assert run(deps, submitted(deps)).status == FAILED
    assert slots.held["bedrock"] == {}


def test_the_intent_is_written_only_with_a_slot() -> None:
    deps, _providers, slots = house("bedrock", caps={"bedrock": 1})
    slots.fill("bedrock")
    job = run(deps, submitted(deps))
    assert job.attempts == ()
    assert deps.jobs.saved == []


def test_a_full_provider_is_passed_by_and_is_no_attempt_and_no_failure() -> None:
    deps, providers, slots = house("bedrock", "gemini", caps={"bedrock": 1})
    slots.fill("bedrock")
    job = run(deps, submitted(deps, provider="bedrock", fallback=("gemini",)))
    assert job.status == COMPLETED
    assert [(a.provider, a.outcome) for a in job.attempts] == [("gemini", "success")]
    assert job.dropped[0].name == "provider"  # said as for any other that gave no image
    assert providers["bedrock"].orders == []
    assert set(deps.health.snapshot()) == {"gemini"}
    assert deps.clock.slept == []


def test_room_within_a_few_seconds_is_waited_for() -> None:
    deps, _, slots = house("bedrock", caps={"bedrock": 1})
    job = submitted(deps)
    slots.fill("bedrock", seconds=0.4)
    job = run(deps, job)
    assert (job.status, job.released) == (COMPLETED, 0)
    assert 0.5 <= sum(deps.clock.slept) <= 1.5


def test_without_room_the_job_goes_back_and_its_message_comes_later() -> None:
    deps, providers, slots = house("bedrock", caps={"bedrock": 1})
    job = submitted(deps)
    slots.fill("bedrock", seconds=60)
    waiting = run(deps, job)
    assert (waiting.status, waiting.released, waiting.started_at) == (QUEUED, 1, None)
    assert sum(deps.clock.slept) <= ROOM_SECONDS[1]
    [sent] = deps.queue.sent
    assert (sent["tenant"], sent["job_id"], sent["watchdog"]) == ("acme", job.id, False)
    assert 2 <= sent["delay"] <= 5
    assert deps.meter.jobs == []
    deps.clock.sleep(60)
    done = run(deps, job)
    assert (done.status, done.fence, len(providers["bedrock"].orders)) == (COMPLETED, 2, 1)
    assert done.started_at == done.attempts[0].started_at
    assert deps.meter.takeovers == 0


def test_a_watchdog_that_finds_no_room_sends_no_message_beside_its_next_one() -> None:
    deps, _, slots = house("bedrock", caps={"bedrock": 1})
    job = submitted(deps)
    slots.fill("bedrock")
    for _ in range(3):
        handle_job_message("acme", job.id, deps.clock.now() + 800, deps, watchdog=True)
    sent = deps.queue.sent
    assert [(m["watchdog"], m["delay"]) for m in sent] == [(True, WATCHDOG_SECONDS)] * 3
    handle_job_message("acme", job.id, deps.clock.now() + 800, deps, watchdog=False)
    assert [m["watchdog"] for m in sent[3:]] == [False]


def test_waiting_for_room_is_no_crash() -> None:
    deps, _, slots = house("bedrock", caps={"bedrock": 1})
    job = submitted(deps)
    slots.fill("bedrock", seconds=600)
    for number in range(3 * MAX_RUNS):
        assert (run(deps, job).status, run(deps, job).released) == (QUEUED, 2 * number + 2)
    deps.clock.sleep(600)
    assert run(deps, job).status == COMPLETED
    assert deps.meter.takeovers == 0


def test_crashes_count_also_beside_times_without_room() -> None:
    deps, providers, slots = house("bedrock", caps={"bedrock": 1})
    job = submitted(deps)
    slots.fill("bedrock", seconds=20)
    run(deps, job)
    deps.clock.sleep(20)
    for _ in range(MAX_RUNS):
        assert deps.jobs.claim("acme", job.id, deps.clock.now(), deps.clock.now() + LEASE_SECONDS)
        deps.clock.sleep(LEASE_SECONDS + 1)
    ended = run(deps, job)
    assert (ended.status, providers["bedrock"].orders) == (FAILED, [])


def test_a_job_that_has_begun_waits_inside() -> None:
    deps, providers, slots = house("bedrock", caps={"bedrock": 1})
    job = submitted(deps, n=2)

    def then_full(order: ImageTask) -> GeneratedImage:
        slots.held["bedrock"].clear()
        slots.fill("bedrock", seconds=120)
        return GeneratedImage(b"1024x1024:x")

    providers["bedrock"].script = [then_full]
    ended = run(deps, job)
    assert (ended.status, ended.released, len(ended.images)) == (COMPLETED, 0, 2)
    assert 120 <= sum(deps.clock.slept) < 122
    assert deps.queue.sent == []


def test_a_job_that_has_begun_waits_until_its_limit() -> None:
    deps, providers, slots = house("bedrock", caps={"bedrock": 1}, generation_timeout=100.0)
    job = submitted(deps, n=2)

    def then_full(order: ImageTask) -> GeneratedImage:
        slots.held["bedrock"].clear()
        slots.fill("bedrock")
        return GeneratedImage(b"1024x1024:x")

    providers["bedrock"].script = [then_full]
    ended = run(deps, job)
    assert ended.error
    assert (ended.status, ended.error.code) == (FAILED, "generation_timeout")
    assert deps.clock.now() == pytest.approx(job.created_at + 100)
    assert [a.outcome for a in ended.attempts] == ["success"]


def test_a_retry_that_finds_no_room_waits_for_it_and_is_still_the_second_try() -> None:
    deps, providers, slots = house("bedrock", caps={"bedrock": 1})
    job = submitted(deps)

    def busy(order: ImageTask) -> GeneratedImage:
        slots.held["bedrock"].clear()
        slots.fill("bedrock", seconds=40)
        raise ProviderFailure(Failure.THROTTLED, "busy", retry_after=1)

    providers["bedrock"].script = [busy, busy, busy, busy]
    ended = run(deps, job)
    assert (ended.status, len(ended.attempts)) == (FAILED, 3)
    assert 80 <= sum(deps.clock.slept) < 85


def test_a_job_past_its_time_is_ended_when_its_run_starts() -> None:
    deps, providers, slots = house("bedrock", caps={"bedrock": 1}, generation_timeout=30.0)
    job = submitted(deps)
    slots.fill("bedrock")
    assert run(deps, job).status == QUEUED
    deps.clock.sleep(30)
    slots.asked.clear()
    ended = run(deps, job)
    assert ended.error
    assert (ended.status, ended.error.code) == (FAILED, "generation_timeout")
    assert (slots.asked, providers["bedrock"].orders) == ([], [])


def test_a_job_past_its_time_is_ended_for_that_also_where_all_rest() -> None:
    deps, _, _slots = house("bedrock", caps={}, generation_timeout=30.0)
    job = submitted(deps)
    deps.clock.sleep(30)
    rests = Health(streak=4, cooldown_until=deps.clock.now() + 60, updated=deps.clock.now())
    deps.health.rows["bedrock"] = rests
    ended = run(deps, job)
    assert ended.error
    assert ended.error.code == "generation_timeout"


@pytest.mark.parametrize("seconds", [60.0, FOREVER])
def test_a_retry_that_finds_no_room_until_the_limit_ends_as_its_last_try(seconds: float) -> None:
    deps, providers, slots = house("bedrock", caps={"bedrock": 1}, generation_timeout=60.0)
    job = submitted(deps)

    def busy(order: ImageTask) -> GeneratedImage:
        slots.held["bedrock"].clear()
        slots.fill("bedrock", seconds=job.created_at + seconds - deps.clock.now())
        raise ProviderFailure(Failure.THROTTLED, "busy", retry_after=1)

    providers["bedrock"].script = [busy]
    ended = run(deps, job)
    assert ended.error
    assert (ended.error.code, len(ended.attempts)) == ("providers_failed", 1)
    assert deps.clock.now() == pytest.approx(job.created_at + 60)


def test_a_short_time_to_run_gives_the_job_back_rather_than_fail_it() -> None:
    deps, _, slots = house("bedrock", caps={"bedrock": 1})
    job = submitted(deps)
    slots.fill("bedrock")
    waiting = run_job("acme", job.id, deps.clock.now() + 4, deps)
    assert waiting
    assert waiting.status == QUEUED


def test_a_released_job_can_be_cancelled() -> None:
    deps, _, slots = house("bedrock", caps={"bedrock": 1})
    job = submitted(deps)
    slots.fill("bedrock", seconds=20)
    run(deps, job)
    assert deps.jobs.cancel("acme", job.id, deps.clock.now())
    deps.clock.sleep(20)
    assert run(deps, job).status == CANCELLED


def test_a_job_lost_to_another_run_is_not_given_back() -> None:
    deps, _, slots = house("bedrock", caps={"bedrock": 1})
    job = submitted(deps)
    slots.fill("bedrock")
    release = deps.jobs.release

    def late(job: Job) -> bool:
        deps.clock.sleep(LEASE_SECONDS + 1)
        assert deps.jobs.claim("acme", job.id, deps.clock.now(), deps.clock.now() + LEASE_SECONDS)
        return release(job)

    deps.jobs.release = late  # type: ignore[method-assign]
    left = run(deps, job)
    assert (left.status, left.fence) == ("running", 2)
    assert deps.queue.sent == []


def test_work_that_is_collected_needs_no_slot() -> None:
    class Ticketed(FakeProvider):
        client_chooses_id = True
        notifies_completion = False

        def submit(self, order: ImageTask, timeout: float) -> None:
            raise AssertionError("handed in before")

        def collect(self, ticket: object, order: ImageTask, timeout: float) -> GeneratedImage:
            return self.paint(order, timeout)

    deps, _, slots = house("runware_ai", caps={"runware_ai": 1})
    provider = Ticketed()
    assert isinstance(deps.providers, FakeProviders)
    deps.providers.providers["runware_ai"] = provider
    job = submitted(deps)
    now = deps.clock.now()
    claimed = deps.jobs.claim("acme", job.id, now, now + LEASE_SECONDS)
    assert claimed
    begun = replace(claimed, attempts=(Attempt("runware_ai", claimed.model, started_at=now, ticket="t-1"),))
    assert deps.jobs.save(begun)
    slots.fill("runware_ai")
    slots.held["runware_ai"][call_id(job.id, 0, job.model, 0)] = Slot("acme", now + FOREVER)  # the dead run's
    deps.clock.sleep(LEASE_SECONDS + 1)
    ended = run(deps, job)
    assert (ended.status, len(provider.orders), slots.asked) == (COMPLETED, 1, [])
    assert list(slots.held["runware_ai"]) == ["others0"]


def test_stored_bytes_need_no_slot_and_free_that_of_the_dead_run() -> None:
    deps, providers, slots = house("bedrock", caps={"bedrock": 1})
    job = submitted(deps)
    now = deps.clock.now()
    claimed = deps.jobs.claim("acme", job.id, now, now + LEASE_SECONDS)
    assert claimed
    assert deps.jobs.save(replace(claimed, attempts=(Attempt("bedrock", claimed.model, started_at=now),)))
    deps.blobs.put(f"raw/acme/{job.id}/0", b"1024x1024:paid", "application/octet-stream")
    slots.held["bedrock"] = {call_id(job.id, 0, job.model, 0): Slot("acme", now + FOREVER)}
    deps.clock.sleep(LEASE_SECONDS + 1)
    ended = run(deps, job)
    assert (ended.status, providers["bedrock"].orders, slots.asked) == (COMPLETED, [], [])
    assert slots.held["bedrock"] == {}


def test_a_free_call_that_was_settled_before_the_job_went_back_is_not_taken_up_again() -> None:
    deps, providers, slots = house("sagemaker", "bedrock", caps={"bedrock": 1})
    providers["sagemaker"].script = [ProviderFailure(Failure.OUTCOME_UNKNOWN, "the answer was lost", paid="unknown")]
    slots.fill("bedrock", seconds=60)
    waiting = run(deps, submitted(deps, provider="sagemaker", fallback=("bedrock",)))
    [ended] = waiting.attempts
    assert (waiting.status, ended.outcome, ended.paid) == (QUEUED, "unknown", "no")
    deps.clock.sleep(60)
    done = run(deps, waiting)
    assert (done.status, done.attempts[0]) == (COMPLETED, ended)


def test_a_probe_is_not_claimed_without_a_slot() -> None:
    deps, _, slots = house("bedrock", caps={"bedrock": 1})
    job = submitted(deps)
    rested = Health(streak=4, cooldown_until=deps.clock.now() - 1, updated=deps.clock.now())
    deps.health.rows["bedrock"] = rested
    slots.fill("bedrock", seconds=20)
    assert run(deps, job).status == QUEUED
    assert deps.health.snapshot()["bedrock"].probe_until == 0
    deps.clock.sleep(20)
    assert run(deps, job).status == COMPLETED


def test_a_slot_is_given_back_where_another_has_the_probe() -> None:
    deps, _, slots = house("bedrock", caps={"bedrock": 1})
    job = submitted(deps)
    rested = Health(streak=4, cooldown_until=deps.clock.now() - 1, updated=deps.clock.now())
    deps.health.rows["bedrock"] = rested
    deps.health.claim_probe = lambda provider, now: False  # type: ignore[method-assign]
    ended = run(deps, job)
    assert ended.error
    assert ended.error.code == "none_available"
    assert slots.held["bedrock"] == {}
    assert ended.attempts == ()


def test_where_no_cap_is_set_no_slot_is_kept() -> None:
    deps, _, slots = house("bedrock", caps={})
    assert run(deps, submitted(deps)).status == COMPLETED
    assert slots.held == {}

"""Chains of messages: Lambda stops recursive loops unless told not to, and the service's own chains end."""

from __future__ import annotations

import heapq
from dataclasses import replace
from unittest.mock import Mock

import pytest

from lambdas.domain.jobs.job import COMPLETED, FAILED, Job
from lambdas.domain.webhooks import EXHAUSTED, MAX_DELAY, MAX_RETRY_AFTER
from lambdas.usecases.jobs.handle_message import LIFE_SECONDS, fail_dead_lettered_job, handle_job_message
from lambdas.usecases.jobs.submit_job import WATCHDOG_SECONDS
from tests.support import recursion
from tests.support.fakes import FakeProvider, FakeProviders, FakeQueue, Fakes, FakeSlots
from tests.support.webhook_world import DAY, DOWN, OK, World
from tests.usecases.images.test_asleep import TURBO, gpu, submitted


def delivered(deps: Fakes, job: Job, most: int = 10_000) -> tuple[Job, int]:
    """The job when no message about it is left, and how many were delivered."""
    queue = deps.queue
    assert isinstance(queue, FakeQueue)
    waiting: list[tuple[float, int]] = []
    taken = done = 0
    while done <= most:
        for number in range(taken, len(queue.sent)):
            heapq.heappush(waiting, (deps.clock.now() + queue.sent[number]["delay"], number))
        taken = len(queue.sent)
        if not waiting:
            break
        at, number = heapq.heappop(waiting)
        deps.clock.time = max(deps.clock.now(), at)
        chain = recursion.invoked("worker", queue.chains[number])
        done += 1
        if chain is None:
            fail_dead_lettered_job("acme", job.id, deps)
            continue
        queue.chain = chain
        handle_job_message("acme", job.id, deps.clock.now() + 887, deps, watchdog=queue.sent[number]["watchdog"])
    assert not waiting, "the messages have no end"
    found = deps.jobs.get("acme", job.id)
    assert found
    return found, done


def test_a_job_that_waits_a_quarter_of_an_hour_for_its_gpu_is_done() -> None:
    deps, at, _ = gpu(14 * 60 - 10)
    job, messages = delivered(deps, submitted(deps, model=TURBO.id, fallback=False))
    assert (job.status, len(at.orders)) == (COMPLETED, 1)
    assert messages > recursion.MAX_TIMES


def test_a_job_that_finds_no_room_for_an_hour_is_done() -> None:
    deps = Fakes(providers=FakeProviders(comfyui=FakeProvider()), slots=FakeSlots(comfyui=1))
    job = submitted(deps, provider="comfyui")
    deps.slots.acquire("comfyui", "another", "other", deps.clock.now(), deps.clock.now() + 3600)
    job, messages = delivered(deps, job)
    assert job.status == COMPLETED
    assert messages > 3 * recursion.MAX_TIMES


def test_a_job_that_never_finds_room_is_given_up_after_its_life_and_its_messages_end() -> None:
    deps = Fakes(providers=FakeProviders(comfyui=FakeProvider()), slots=FakeSlots(comfyui=1))
    job = submitted(deps, provider="comfyui", webhook_url="https://a.example/h")
    deps.slots.acquire("comfyui", "another", "other", deps.clock.now(), float("inf"))
    ended, messages = delivered(deps, job)
    assert (ended.status, ended.error.code if ended.error else "") == (FAILED, "internal_error")
    assert 0 <= (ended.finished_at or 0) - job.created_at - LIFE_SECONDS <= 2 * WATCHDOG_SECONDS
    assert messages < 3 * LIFE_SECONDS / WATCHDOG_SECONDS
    assert deps.events.messages, "its receiver is told"


def test_what_was_paid_before_the_end_of_its_life_is_still_had() -> None:
    """Nobody could attend it for a day; its work at the provider is done."""
    deps, at, _ = gpu(60)
    job = submitted(deps)
    handle_job_message("acme", job.id, deps.clock.now() + 887, deps, watchdog=False)
    deps.clock.sleep(LIFE_SECONDS)
    handle_job_message("acme", job.id, deps.clock.now() + 887, deps, watchdog=True)
    found = deps.jobs.get("acme", job.id)
    assert found
    assert (found.status, len(at.orders)) == (COMPLETED, 1)


def test_the_watchdog_of_a_job_past_its_life_goes_on_while_a_run_holds_it() -> None:
    deps = Fakes()
    job = submitted(deps)
    now = deps.clock.now() + LIFE_SECONDS
    assert deps.jobs.claim("acme", job.id, now, now + 20)
    deps.clock.sleep(LIFE_SECONDS)
    deps.queue.sent.clear()
    handle_job_message("acme", job.id, now + 887, deps, watchdog=True)
    assert [m["delay"] for m in deps.queue.sent] == [WATCHDOG_SECONDS]
    handle_job_message("acme", job.id, now + 887, deps, watchdog=False)
    assert len(deps.queue.sent) == 1, "the watchdog's alone"


def test_a_failure_in_the_last_run_keeps_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not deleted then: it comes again, and the dead letters' reader ends the job at the latest."""
    deps = Fakes()
    job = submitted(deps)
    deps.clock.sleep(LIFE_SECONDS)
    with monkeypatch.context() as patch:
        patch.setattr(deps.blobs, "put", Mock(side_effect=RuntimeError("broken")))
        with pytest.raises(RuntimeError):
            handle_job_message("acme", job.id, deps.clock.now() + 887, deps, watchdog=True)
    deps.clock.sleep(21)
    assert fail_dead_lettered_job("acme", job.id, deps)


def test_a_receiver_that_fails_for_two_days_is_told() -> None:
    world = World()
    job = world.ended()
    begun = world.clock.now()
    world.receiver.answer = lambda now: DOWN if now < begun + 2 * DAY else OK
    world.run()
    assert world.event(job).state == "delivered"
    assert not world.dead


def test_no_receiver_makes_a_chain_longer_than_the_event_is_kept() -> None:
    """Each attempt puts the next one off for as long as a receiver may ask for."""
    world = World()
    job = world.ended()
    world.receiver.answer = lambda _now: replace(DOWN, retry_after=10 * MAX_RETRY_AFTER)
    hops = 0
    while world.events.messages:
        message = min(world.events.messages)
        world.events.messages.remove(message)
        world.clock.time = max(world.clock.time, message.arrives)
        world.handle(message)
        hops += 1
    event = world.event(job)
    assert event.state == EXHAUSTED
    assert world.clock.now() <= event.expires_at + MAX_DELAY
    assert hops <= (event.expires_at - event.finished_at) / MAX_DELAY + 100


def test_a_message_that_names_a_time_after_the_event_is_gone_ends_it_at_once() -> None:
    world = World()
    job = world.ended()
    event = world.event(job)
    [message] = world.events.messages
    world.events.messages.clear()
    world.handle(replace(message, due=event.expires_at + 10**9))
    assert world.event(job).state == EXHAUSTED
    assert "exhausted" in world.meter.told
    assert not world.events.messages


def test_the_guard_cuts_what_the_template_does_not_allow() -> None:
    chain: recursion.Chain | None = recursion.API
    for _ in range(recursion.MAX_TIMES):
        assert chain is not None
        chain = recursion.invoked("gpu_result", chain)
    assert chain is not None
    assert recursion.invoked("gpu_result", chain) is None
    assert recursion.invoked("dead_letter", chain) is not None, "each function is counted for itself"
    assert recursion.allowed() == {"worker", "webhooks"}

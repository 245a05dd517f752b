"""Every final state of a job reaches the queue, after any kill or failure between its end and the queue."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from lambdas.domain.errors import InvalidRequest
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import Draft, Dropped, ImageRequest
from lambdas.usecases.jobs.cancel_job import cancel_job
from lambdas.usecases.jobs.handle_message import fail_dead_lettered_job, handle_job_message
from lambdas.usecases.jobs.run_job import LEASE_SECONDS, run_job
from lambdas.usecases.jobs.submit_batch import Refused, submit_batch
from lambdas.usecases.jobs.submit_job import WATCHDOG_SECONDS, Caller, submit_job
from tests.support.fakes import FakeProviders
from tests.support.webhook_world import DOWN, URL, World


def test_a_job_without_an_address_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    monkeypatch.setattr(world.deps.outbox, "get", pytest.fail)
    job = world.ended(None)
    handle_job_message("acme", job.id, world.clock.now() + 100, world.deps, watchdog=True)
    fail_dead_lettered_job("acme", job.id, world.deps)
    assert (world.events.messages, world.deps.jobs.outbox.rows) == ([], {})


def _run(world: World, job: Job) -> None:
    run_job("acme", job.id, world.clock.now() + 100, world.deps)


def _cancel(world: World, job: Job) -> None:
    cancel_job(job.tenant, job.id, world.deps)


def _give_up(world: World, job: Job) -> None:
    with suppress(ConnectionError):
        fail_dead_lettered_job("acme", job.id, world.deps)


@pytest.mark.parametrize(
    ("end", "kind"),
    [(_cancel, "cancelled"), (_give_up, "failed"), (_run, "completed")],
    ids=["cancel", "give_up", "run"],
)
def test_the_watchdog_hands_over_what_the_queue_did_not_take(end: Callable[[World, Job], None], kind: str) -> None:
    world = World()
    job = world.job()
    world.events.down = True
    end(world, job)
    assert world.events.messages == []
    assert world.event(job).type == f"generation.{kind}"
    with pytest.raises(ConnectionError):  # its message stays, too
        handle_job_message("acme", job.id, world.clock.now() + 100, world.deps, watchdog=True)
    with pytest.raises(ConnectionError):
        fail_dead_lettered_job("acme", job.id, world.deps)
    world.events.down = False
    world.clock.sleep(WATCHDOG_SECONDS)
    handle_job_message("acme", job.id, world.clock.now() + 100, world.deps, watchdog=True)
    world.run()
    assert len(world.receiver.posts) == 1
    handle_job_message("acme", job.id, world.clock.now() + 100, world.deps, watchdog=True)
    assert world.events.messages == []


def test_the_dead_letter_function_hands_over_too() -> None:
    world = World()
    job = world.job()
    world.events.down = True
    _run(world, job)
    world.events.down = False
    assert fail_dead_lettered_job("acme", job.id, world.deps)
    world.run()
    assert len(world.receiver.posts) == 1


def test_jobs_that_are_made_final_are_told() -> None:
    world = World()
    request = ImageRequest("x", seed=1, cache=True, webhook_url=URL)
    job, _ = submit_job(request, Caller("acme", "r"), world.deps)
    _run(world, job)
    hit, _ = submit_job(request, Caller("acme", "r"), world.deps)
    assert hit.cached
    bad, silent = (Refused(InvalidRequest("no"), ImageRequest("x", webhook_url=url)) for url in (URL, None))
    _, jobs, _ = submit_batch([bad, Draft(replace(request, provider="gemini")), silent], CALLER, world.deps)
    watched = {m["job_id"] for m in world.deps.queue.sent if m["watchdog"]}
    assert {job.id for job in jobs if job.request.webhook_url} <= watched
    world.run()
    told = [post.headers["webhook-id"] for post in world.receiver.posts]
    assert sorted(told) == sorted(f"msg_{j.id}" for j in (job, hit, jobs[0], jobs[1]))


CALLER = Caller("acme", "r")


def test_a_cache_hit_says_of_its_own_webhook_alone() -> None:
    world = World()
    silent = Dropped("webhook_url", "silent")
    first = ImageRequest("x", seed=1, cache=True, ignored=(silent,))
    job, _ = submit_job(first, CALLER, world.deps)
    _run(world, job)
    assert submit_job(replace(first, ignored=()), CALLER, world.deps)[0].dropped == ()
    assert submit_job(first, CALLER, world.deps)[0].dropped == (silent,)


def test_a_job_that_runs_for_long_is_told_when_it_ends() -> None:
    world = World()
    job = world.job()
    world.deps.jobs.claim("acme", job.id, world.clock.now(), world.clock.now() + LEASE_SECONDS)
    world.clock.sleep(5)
    handle_job_message("acme", job.id, world.clock.now() + 100, world.deps, watchdog=True)
    assert world.events.messages == []


def test_the_watchdog_leaves_alone_what_is_being_delivered() -> None:
    world = World()
    job = world.ended()
    world.receiver.answer = lambda now: DOWN
    world.run(until=world.clock.now() + 1)
    messages = list(world.events.messages)
    handle_job_message("acme", job.id, world.clock.now() + 100, world.deps, watchdog=True)
    fail_dead_lettered_job("acme", job.id, world.deps)
    assert world.events.messages == messages


def test_no_provider_is_needed_to_tell_of_a_failure() -> None:
    world = World()
    job = world.job()
    assert isinstance(world.deps.providers, FakeProviders)
    world.deps.providers.providers.clear()
    fail_dead_lettered_job("acme", job.id, world.deps)
    world.run()
    assert b"generation.failed" in world.receiver.posts[0].body

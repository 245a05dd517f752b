"""The delivery of an event for each response of its receiver, on the test's clock."""

from __future__ import annotations

from contextlib import suppress

import pytest

from lambdas.domain.errors import NotFound, WebhookPending
from lambdas.domain.ports.webhooks import Reply
from lambdas.domain.webhooks import MAX_ATTEMPTS
from lambdas.usecases.webhooks.replay import replay_webhook
from tests.support.webhook_world import DAY, DOWN, OK, URL, Killed, World


def test_one_signed_post_of_one_job() -> None:
    world = World()
    job = world.ended()
    world.run()
    [post] = world.receiver.posts
    assert (post.url, post.body.decode()) == (URL, f"generation.completed {job.id}")
    assert post.headers["webhook-id"] == f"msg_{job.id}"
    assert post.headers["webhook-timestamp"] == str(int(world.clock.now()))
    assert post.headers["webhook-signature"] == f"v1,acme-msg_{job.id}"
    assert (world.event(job).state, world.event(job).attempts, world.event(job).last_status) == ("delivered", 1, 200)
    assert world.meter.told == ["delivered"]


def test_a_receiver_that_is_down_for_two_days_gets_it_once() -> None:
    world = World()
    job = world.ended()
    back = world.clock.now() + 2 * DAY
    world.receiver.answer = lambda now: OK if now >= back else DOWN
    world.run()
    assert world.event(job).state == "delivered"
    assert [p.at >= back for p in world.receiver.posts].count(True) == 1
    assert {p.headers["webhook-id"] for p in world.receiver.posts} == {f"msg_{job.id}"}
    assert world.meter.told == ["failed"] * (len(world.receiver.posts) - 1) + ["delivered"]


def test_a_receiver_that_never_answers_is_given_up_after_three_days() -> None:
    world = World()
    job = world.ended()
    began = world.clock.now()
    world.receiver.answer = lambda now: Reply(None, "no answer within 15 s")
    world.run()
    event = world.event(job)
    assert (event.state, event.attempts, event.last_error) == ("exhausted", MAX_ATTEMPTS, "no answer within 15 s")
    times = [p.at - began for p in world.receiver.posts]
    assert len(times) == MAX_ATTEMPTS
    assert times[1] < 120
    assert times[-1] >= 3 * DAY
    assert world.meter.told == ["failed"] * MAX_ATTEMPTS + ["exhausted"]


def test_an_event_whose_attempts_all_die_is_given_up() -> None:
    world = World()
    job = world.ended()

    def dies(now: float) -> Reply:
        raise Killed

    world.receiver.answer = dies
    world.run()
    event = world.event(job)
    assert (event.state, event.attempts, event.last_error) == ("exhausted", MAX_ATTEMPTS, "no attempt came to its end")
    assert len(world.receiver.posts) == MAX_ATTEMPTS
    assert world.meter.told == ["exhausted"]


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500, 503])
def test_what_is_no_success_is_tried_again(status: int) -> None:
    world = World()
    job = world.ended()
    world.receiver.answer = lambda now: Reply(status)
    world.run(until=world.clock.now() + 1)
    event = world.event(job)
    assert (event.state, event.attempts, event.last_status, event.last_error) == (
        "pending",
        1,
        status,
        f"HTTP {status}",
    )
    world.receiver.answer = lambda now: Reply(204)
    world.run()
    assert (world.event(job).state, world.event(job).attempts) == ("delivered", 2)


def test_a_receiver_says_when() -> None:
    world = World()
    world.ended()
    began = world.clock.now()
    world.receiver.answer = lambda now: Reply(503, retry_after=3600.0) if now < began + 10 else OK
    world.run()
    assert [round(p.at - began) for p in world.receiver.posts] == [0, 3600]


def test_410_ends_it_and_those_that_come_later() -> None:
    world = World()
    first, elsewhere = world.ended(), world.ended("https://b.example/h")
    world.receiver.answer = lambda now: Reply(410) if world.receiver.posts[-1].url == URL else OK
    world.run()
    later = world.ended()
    world.run()
    assert len(world.receiver.posts) == 2
    assert world.event(elsewhere).state == "delivered"
    assert [world.event(job).state for job in (first, later)] == ["disabled", "disabled"]
    assert (world.event(first).last_status, world.event(later).attempts) == (410, 0)
    assert "410" in world.event(later).last_error
    world.clock.sleep(31 * DAY)
    world.ended()
    world.run()
    assert len(world.receiver.posts) == 3


def test_a_replay_begins_anew_and_ends_the_silence() -> None:
    world = World()
    job = world.ended()
    world.receiver.answer = lambda now: Reply(410)
    world.run()
    world.receiver.answer = lambda now: OK
    assert replay_webhook("acme", job.id, world.deps).state == "pending"
    with pytest.raises(WebhookPending):
        replay_webhook("acme", job.id, world.deps)
    world.run()
    assert (world.event(job).state, world.event(job).attempts) == ("delivered", 1)
    assert len({p.headers["webhook-id"] for p in world.receiver.posts}) == 1
    assert len(world.receiver.posts) == 2


@pytest.mark.parametrize(("tenant", "job_id"), [("other", None), ("acme", "no-id"), ("acme", "0" * 8)])
def test_a_replay_of_what_is_not_there(tenant: str, job_id: str | None) -> None:
    world = World()
    job = world.ended()
    world.run()
    with pytest.raises(NotFound):
        replay_webhook(tenant, job_id or job.id, world.deps)


def test_a_replay_that_dies_between_its_writes_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    job = world.ended()
    world.receiver.answer = lambda now: Reply(410)
    world.run()
    world.receiver.answer = lambda now: OK
    send = world.events.send

    def dying(tenant: str, job_id: str, due: int, *, delay: int) -> None:
        if not delay:
            raise Killed
        send(tenant, job_id, due, delay=delay)

    with monkeypatch.context() as patch:
        patch.setattr(world.events, "send", dying)
        with suppress(Killed):
            replay_webhook("acme", job.id, world.deps)
    world.run()
    assert world.event(job).state == "delivered"

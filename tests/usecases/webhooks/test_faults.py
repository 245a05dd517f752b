"""Deliveries that are interrupted, repeated or unordered: nothing is lost, and duplicates are recognisable."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from lambdas.domain.jobs.job import Job
from lambdas.domain.ports.webhooks import Reply
from lambdas.domain.webhooks import MAX_ATTEMPTS
from lambdas.usecases.webhooks.deliver import deliver_webhook
from tests.support.webhook_world import DAY, DOWN, OK, Killed, World


@pytest.mark.parametrize("step", ["claim", "post", "send", "write"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("answer", [200, 410, 500])
def test_killed_once_at_any_point(step: str, when: str, answer: int) -> None:
    """Nothing is lost. What can come twice: a POST whose answer was not written down."""
    world = World()
    job = world.ended()
    deaths: list[str] = []
    world.receiver.answer = lambda now: Reply(answer) if len(world.receiver.posts) == 1 else OK
    moves = []

    def once(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def dying(*args: object, **kwargs: object) -> object:
            label = name
            if name == "move":
                moves.append(1)
                label = "claim" if len(moves) == 1 else "write"
            kill = label == step and not deaths
            if kill and when == "before":
                deaths.append(label)
                raise Killed
            result = call(*args, **kwargs)
            if kill:
                deaths.append(label)
                raise Killed
            return result

        return dying

    outbox, events, receiver = world.deps.outbox, world.events, world.receiver
    outbox.move = once("move", outbox.move)  # type: ignore[method-assign, assignment]
    receiver.post = once("post", receiver.post)  # type: ignore[method-assign, assignment]
    events.send = once("send", events.send)  # type: ignore[method-assign, assignment]
    world.run()
    state = world.event(job).state
    posts = len(world.receiver.posts)
    if answer == 410 and (step, when) == ("write", "after"):
        assert (state, posts) == ("disabled", 1)
    elif answer == 410 and step == "write":
        assert (state, posts) == ("disabled", 1)  # the mark was there before
    elif answer == 410 and not (step == "post" and when == "after"):
        assert (state, posts) == ("disabled", 1)
    else:
        assert state == "delivered"
        unwritten = (step == "post" and when == "after") or (step == "write" and when == "before")
        assert posts <= 1 + (answer == 500) + unwritten


def test_an_outage_of_the_queue_uses_no_attempt_up() -> None:
    """Messages still come, but none can be sent: the receiver is asked each time the message is seen again."""
    world = World()
    job = world.ended()
    back = world.clock.now() + DAY
    world.receiver.answer = lambda now: OK if now >= back else DOWN
    world.events.down = True
    world.run(until=back - DAY / 2)
    assert (world.event(job).state, world.event(job).attempts) == ("pending", 0)
    assert len(world.receiver.posts) > MAX_ATTEMPTS
    world.events.down = False
    world.run()
    assert world.event(job).state == "delivered"


def test_a_function_that_dies_at_every_attempt_ends_it_visibly() -> None:
    world = World()
    job = world.ended()

    def die(_now: float) -> Reply:
        raise Killed

    world.receiver.answer = die
    world.run()
    event = world.event(job)
    assert (event.state, event.attempts) == ("exhausted", MAX_ATTEMPTS)
    assert event.last_error
    assert len(world.receiver.posts) == MAX_ATTEMPTS


def _job_gone(world: World, job: Job) -> None:
    del world.deps.jobs.rows["acme", job.id]


def _no_secret(world: World, job: Job) -> None:
    world.signer.known = False


@pytest.mark.parametrize(("lost", "why"), [(_job_gone, "record"), (_no_secret, "secret")], ids=["job", "secret"])
def test_what_cannot_be_made_ends_it_visibly(lost: Callable[[World, Job], None], why: str) -> None:
    world = World()
    job = world.ended()
    lost(world, job)
    world.run()
    assert (world.event(job).state, world.receiver.posts) == ("exhausted", [])
    assert why in world.event(job).last_error
    assert world.meter.told == ["exhausted"]


def test_messages_of_the_unknown_and_of_the_past_are_let_go() -> None:
    world = World()
    job = world.ended()
    world.receiver.answer = lambda now: DOWN
    [message] = world.events.messages
    world.run(until=world.clock.now() + 1)
    deliver_webhook("acme", job.id, message.due, world.delivery)  # superseded
    deliver_webhook("acme", "nobody", message.due, world.delivery)
    deliver_webhook("other", job.id, message.due, world.delivery)
    assert len(world.receiver.posts) == 1
    world.run()
    deliver_webhook("acme", job.id, 2**40, world.delivery)  # given up: nothing comes after it
    assert len(world.receiver.posts) == MAX_ATTEMPTS


def test_a_message_before_its_time_waits() -> None:
    world = World()
    job = world.ended()
    world.receiver.answer = lambda now: Reply(503, retry_after=5000.0)
    world.run(until=world.clock.now() + 1)
    due = world.event(job).due
    world.events.messages.clear()
    deliver_webhook("acme", job.id, due, world.delivery)
    assert [m.arrives - world.clock.now() for m in world.events.messages] == [900]
    assert len(world.receiver.posts) == 1


def test_no_attempt_begins_while_another_is_on_its_way() -> None:
    world = World()
    job = world.ended()
    [message] = world.events.messages
    inside: list[int] = []

    def meanwhile(_now: float) -> Reply:
        if not inside:
            inside.append(1)
            world.handle(message)
        return OK

    world.receiver.answer = meanwhile
    world.run()
    assert len(world.receiver.posts) == 1
    assert world.event(job).state == "delivered"


def test_of_two_that_read_the_same_one_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    job = world.ended()
    [message] = world.events.messages
    disabled = world.deps.outbox.disabled
    inside: list[int] = []

    def meanwhile(*args: object) -> bool:
        if not inside:
            inside.append(1)
            world.handle(message)
        return disabled(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(world.deps.outbox, "disabled", meanwhile)
    world.run()
    assert len(world.receiver.posts) == 1
    assert world.event(job).attempts == 1


@pytest.mark.parametrize("seed", range(30))
def test_duplicates_disorder_and_deaths(seed: int) -> None:
    """Whatever the queue and the function do, the event ends; posts are attempts, and those that were cut off."""
    rng = random.Random(seed)
    world = World()
    job = world.ended()
    back = world.clock.now() + rng.choice([0, 60, 3600, DAY, 2 * DAY])
    deaths = 0

    def answer(now: float) -> Reply:
        nonlocal deaths
        if rng.random() < 0.15:
            deaths += 1
            raise Killed
        return OK if now >= back else DOWN

    world.receiver.answer = answer
    send = world.events.send

    trouble = iter(rng.sample(["double", "late", "double", "late", "die"] * 4 + [""] * 20, 40))

    def shaky(tenant: str, job_id: str, due: int, *, delay: int) -> None:
        comes = next(trouble, "")
        send(tenant, job_id, due, delay=min(900, delay + 300 * (comes == "late")))
        if comes == "double":
            send(tenant, job_id, due, delay=delay)
        if comes == "die":
            raise Killed

    world.events.send = shaky  # type: ignore[method-assign]
    world.run()
    event = world.event(job)
    assert event.state in ("delivered", "exhausted")
    assert event.attempts <= MAX_ATTEMPTS
    if event.state == "exhausted":
        assert event.attempts == MAX_ATTEMPTS
    answered = [p for p in world.receiver.posts if p.at >= back]
    assert len(answered) <= 1 + deaths
    assert len(world.receiver.posts) == event.attempts

"""Interleavings that once failed, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from lambdas.domain.jobs.request import ImageRequest
from tests.adapters.conftest import aws_in_process
from tests.interleavings.scheduler import Actor
from tests.interleavings.stores import DynamoStore
from tests.interleavings.world import World

BEDROCK = ImageRequest("a fox", provider="bedrock", fallback=False)
SAGEMAKER = ImageRequest("a fox", provider="sagemaker", fallback=False)


@pytest.fixture
def world() -> Iterator[World]:
    with aws_in_process():
        world = World(DynamoStore)
        try:
            yield world
        finally:
            world.close()


def queued(world: World, request: ImageRequest) -> str:
    api = world.submit(request, None, respond_async=True)
    while api.live:
        world.step(api)
    job_id: str = api.result[0]
    return job_id


def go(world: World, actor: Actor, place: str, times: int = 1) -> None:
    for _ in range(times):
        world.step(actor)
        while actor.at != place:
            assert actor.live
            world.step(actor)


def test_a_claim_does_not_undo_an_intent_that_came_between_its_reading_and_its_writing(world: World) -> None:
    """The lease of a slow run has passed; another has read the record when it puts its call down, and pays."""
    job_id = queued(world, BEDROCK)
    slow = world.work_on(job_id, None)
    go(world, slow, "aws UpdateItem")
    slow.children[0].stalled = True
    world.time += 21
    other = world.work_on(job_id, None)
    go(world, other, "aws PutItem")
    go(world, slow, "answer bedrock")
    world.drain()
    [job] = world.rows().values()
    assert len(world.ledger.calls) == 1
    assert len(job.attempts) == 1


def test_a_late_run_does_not_put_its_picture_in_the_place_of_the_one_that_was_told(world: World) -> None:
    """A free model is asked again by whoever takes the job over, and gives another picture."""
    job_id = queued(world, SAGEMAKER)
    slow = world.work_on(job_id, None)
    go(world, slow, "answer sagemaker")
    for one in (slow, *slow.children):
        one.stalled = True
    world.time += 21
    world.drain()
    [job] = world.rows().values()
    told = world.blobs.look(job.images[0].key)
    slow.stalled = False
    world.drain()
    assert len(world.ledger.calls) == 2
    assert world.blobs.look(job.images[0].key) == told


def test_an_event_whose_message_came_twice_is_told_also_when_the_first_to_claim_it_dies(world: World) -> None:
    """The second loses the claim and deletes the message, which is the first one's too."""
    run = world.work_on(queued(world, replace(BEDROCK, webhook_url="https://client.example/hook")), None)
    while run.live:
        world.step(run)
    [message] = [m for m in world.messages if m.due is not None]
    world.messages.remove(next(m for m in world.messages if m.watchdog))
    late, first = world.deliver(message), world.deliver(message)
    go(world, late, "aws PutItem")
    go(world, first, "post")
    world.step(late)
    world.kill(first)
    world.drain()


def test_a_job_that_waits_a_quarter_of_an_hour_for_its_gpu_is_done(world: World) -> None:
    """Its watchdog's messages are one chain, of thirty."""
    world.sleep("sagemaker", 14 * 60 - 10)
    job_id = queued(world, SAGEMAKER)
    world.drain()
    job = world.rows()[job_id]
    assert (job.status, len(world.ledger.calls)) == ("completed", 1)
    assert world.seen["delivery"] > 16


def test_a_webhook_that_fails_for_two_days_arrives(world: World) -> None:
    """A message waits for hours in steps of a quarter of an hour, which are one chain."""
    queued(world, replace(BEDROCK, webhook_url="https://client.example/hook"))
    begun = world.time
    world.receiver.replies.extend([500] * 11)
    world.drain()
    [event] = world.store.events().values()
    assert (event.state, event.attempts) == ("delivered", 12)
    assert world.time - begun > 2 * 86_400


def test_a_webhook_that_is_due_by_now_is_sent_at_once(world: World) -> None:
    """The process was frozen between working out when to try again and saying so."""
    run = world.work_on(queued(world, replace(BEDROCK, webhook_url="https://client.example/hook")), None)
    while run.live:
        world.step(run)
    [message] = [m for m in world.messages if m.due is not None]
    world.receiver.replies.append(500)
    telling = world.deliver(message)
    go(world, telling, "now", times=3)
    world.time += 20
    world.drain()

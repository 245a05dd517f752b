"""The flows that end in a webhook, and those of the function that delivers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3

from lambdas.domain.webhooks import DELIVERED, DISABLED, DISABLED_SECONDS, EXHAUSTED, MAX_ATTEMPTS, Event
from tests.api.client import Answer
from tests.faults.flow import ASYNC, KEY, Flow, post
from tests.faults.receiver import SECRET
from tests.faults.world import PAID_SHOT, World

HOOK = "https://hooks.example/x"
TOLD: dict[str, Any] = {"prompt": "a fox", "provider": PAID_SHOT, "fallback": False, "seed": 7, "webhook_url": HOOK}


def _secret(world: World) -> None:
    keys = {"pk": {"S": f"{world.tenant}#webhook"}, "sk": {"S": "secret"}}
    boto3.client("dynamodb").put_item(TableName="keys", Item={**keys, "secret": {"S": SECRET}})


def _queued(world: World) -> None:
    _secret(world)
    assert world.client("POST", "/unified/generate", TOLD, KEY | ASYNC).status == 202


def _ended(*answers: int, attempts: int = 0) -> Callable[[World], None]:
    """A job has ended, and one message about its event waits: there is no second one that would make up for it."""

    def prepare(world: World) -> None:
        _queued(world)
        world.settle()
        world.receiver.answers = [*answers]
        [_event_message, *others] = world.of_events()
        for other in others:
            world.messages.remove(other)
        world.tried = attempts
        event = event_of(world)
        assert world.deps.outbox.move(event, replace(event, attempts=attempts))

    return prepare


def event_of(world: World) -> Event:
    [job] = world.jobs()
    event = world.deps.outbox.get(world.tenant, job.id)
    assert event
    return event


def _too_early(world: World) -> None:
    """A message for an attempt in half an hour has come: it must be put off."""
    _ended(200)(world)
    [message] = world.of_events()
    world.messages.remove(message)
    event = event_of(world)
    due = event.due + 1800
    assert world.deps.outbox.move(event, replace(event, due=due))
    world.deps.events.send(world.tenant, event.job_id, due, delay=0)


def _gone_before(world: World) -> None:
    """The address has answered 410 to an earlier event."""
    _ended(200)(world)
    world.deps.outbox.disable(world.tenant, HOOK, world.clock.now() + DISABLED_SECONDS)


def _given_up(world: World) -> None:
    _ended(200)(world)
    world.messages.clear()
    event = event_of(world)
    assert world.deps.outbox.move(event, event.ended(EXHAUSTED, "HTTP 500", 500))
    world.deps.outbox.disable(world.tenant, HOOK, world.clock.now() + DISABLED_SECONDS)


def _not_handed_over(world: World) -> None:
    """The job's run died between its end and the event's message; the watchdog's message is left."""
    _ended(200)(world)
    world.messages.clear()
    [job] = world.jobs()
    world.deps.queue.send(world.tenant, job.id, watchdog=True, delay=30)


def _cached(world: World) -> None:
    """The same was made before for somebody who did not want to be told."""
    _secret(world)
    silent = {name: value for name, value in TOLD.items() if name != "webhook_url"}
    assert world.client("POST", "/unified/generate", silent).status == 200


def _deliver(world: World) -> None:
    [message] = world.of_events()
    world.deliver(message)


def _watchdog(world: World) -> None:
    [message] = world.of_jobs()
    world.deliver(message)


def _dead(world: World) -> None:
    [message] = [m for m in world.of_jobs() if '"watchdog": false' in m["body"]]
    message["received"] = 99
    world.deliver(message)


def _cancel(world: World) -> Answer:
    return world.client("DELETE", f"/unified/jobs/{world.jobs()[0].id}")


def _replay(world: World) -> Answer:
    return world.client("POST", f"/unified/webhooks/{world.jobs()[0].id}/replay")


def _replayed(world: World) -> None:
    """A client that was told to try again tries again."""
    if event_of(world).state == EXHAUSTED:
        assert _replay(world).status == 202
        world.tell()
    _ends(DELIVERED)(world)


def _ends(state: str) -> Callable[[World], None]:
    def check(world: World) -> None:
        assert [row["state"]["S"] for row in world.rows("#webhooks")] == [state]

    return check


def _listed(state: str) -> Callable[[World], Answer]:
    return lambda world: world.client("GET", f"/unified/webhooks{state}")


def _of_function(
    prepare: Callable[[World], None], ends: str, act: Callable[[World], Answer | None] = _deliver, *right: int
) -> Flow:
    return Flow(act, right, 1, (PAID_SHOT,), prepare, check=_ends(ends))


PAID = (PAID_SHOT,)
WEBHOOKS: dict[str, Flow] = {
    "webhook": _of_function(_ended(200), DELIVERED),
    "webhook_fails": _of_function(_ended(500, 200), DELIVERED),
    "webhook_fails_for_hours": _of_function(_ended(500, 503, 200, attempts=5), DELIVERED),
    "webhook_fails_for_good": _of_function(_ended(500, attempts=MAX_ATTEMPTS - 1), EXHAUSTED),
    "webhook_gone": _of_function(_ended(410), DISABLED),
    "webhook_gone_before": _of_function(_gone_before, DISABLED),
    "webhook_too_early": _of_function(_too_early, DELIVERED),
    "webhook_handed_over": _of_function(_not_handed_over, DELIVERED, _watchdog),
    "webhook_list": _of_function(_ended(200), DELIVERED, _listed(""), 200),
    "webhook_list_of_state": _of_function(_ended(200), DELIVERED, _listed("?state=pending"), 200),
    "webhook_replay": Flow(_replay, (202,), 1, PAID, _given_up, check=_replayed),
    "told": Flow(post("/unified/generate", TOLD, **KEY), (200, 202), 1, PAID, _secret, repeats=True),
    "told_by_cache": Flow(post("/unified/generate", TOLD), (200, 202), 2, PAID, _cached, jobs_may_lack=True),
    "told_of_cancel": Flow(_cancel, (200,), 1, PAID, _queued),
    "told_by_dead_letter": Flow(_dead, (), 1, PAID, _queued),
}

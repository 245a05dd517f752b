"""The service's synchronous and background operations, as flows whose AWS calls can fail.

A flow is prepared without faults, then acts once with them. What a client does afterwards, asking again with the same
Idempotency-Key, is part of the test.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import boto3
from PIL import Image

from lambdas.adapters.dynamodb.keyring import DynamoKeyRing
from lambdas.adapters.dynamodb.keys import DynamoKeys
from lambdas.domain.api_keys import new_key
from lambdas.domain.ids import image_id
from lambdas.domain.jobs.job import Attempt
from lambdas.domain.links import LinkKey, signed
from lambdas.handlers import authorizer
from lambdas.settings import Settings
from lambdas.usecases.jobs.run_job import LEASE_SECONDS
from tests.api.client import Answer
from tests.faults.flow import ASYNC, KEY, Flow, post
from tests.faults.webhook_flows import WEBHOOKS
from tests.faults.world import PAID_SHOT, TICKET_OF_OURS, TICKET_OF_THEIRS, World, rows_of

DONE = (200, 202)


def _unified(provider: str, **more: Any) -> dict[str, Any]:
    return {"prompt": "a fox", "provider": provider, "fallback": False, "width": 256, "height": 256, **more}


def _job_id(world: World) -> str:
    return str(world.rows()[0]["sk"]["S"])


def _made(world: World) -> None:
    answer = world.client("POST", "/generate", {"prompt": "a fox"})
    assert answer.status == 200
    world.settle()


def _queued(world: World) -> None:
    assert world.client("POST", "/unified/generate", _unified(PAID_SHOT), KEY | ASYNC).status == 202


def _left_behind(world: World) -> None:
    """A run that died after its paid bytes were stored."""
    _queued(world)
    [job] = world.jobs()
    now = world.clock.now()
    running = world.deps.jobs.claim(world.tenant, job.id, now, now + LEASE_SECONDS)
    assert running
    attempt = Attempt(PAID_SHOT, running.model, started_at=now)
    assert world.deps.jobs.save(replace(running, attempts=(attempt,)))
    world.providers.all[PAID_SHOT].charged.append(running.seed)
    world.deps.blobs.put(f"raw/{world.tenant}/{job.id}/0", b"1024x1024:x", "application/octet-stream")


def _replayable(world: World) -> None:
    _queued(world)
    world.settle()


def _cached(world: World) -> None:
    assert world.client("POST", "/unified/generate", CACHED).status == 200


def _watchdog(world: World) -> None:
    [message] = [m for m in world.of_jobs() if '"watchdog": true' in m["body"]]
    for other in [m for m in world.of_jobs() if m is not message]:
        world.messages.remove(other)
    world.deliver(message)


def _dead(world: World) -> None:
    [message] = [m for m in world.of_jobs() if '"watchdog": false' in m["body"]]
    message["received"] = 99
    world.deliver(message)


BATCH = {
    "requests": [
        _unified(PAID_SHOT, seed=1),
        _unified(PAID_SHOT, seed=2, width=-1),
        _unified(PAID_SHOT, seed=3, project_id="other"),
    ]
}


def _cut_off(world: World) -> None:
    """A batch whose first request died after it had made one of its jobs."""
    answer = world.client("POST", "/unified/generate/batch", BATCH, KEY)
    assert answer.status == 202
    rows = world.rows()
    db = boto3.client("dynamodb")
    for row in rows[1:]:
        db.delete_item(TableName="jobs", Key={"pk": row["pk"], "sk": row["sk"]})
    world.settle()
    books = {"pk": {"S": f"{world.tenant}#budget"}, "sk": world.rows("#budget")[0]["sk"]}
    [job] = world.jobs()
    spent = round(job.cost_usd * 1_000_000)
    db.update_item(
        TableName="jobs",
        Key=books,
        UpdateExpression="SET committed_microusd = :m, committed_images = :i",
        ExpressionAttributeValues={":m": {"N": str(spent)}, ":i": {"N": "1"}},
    )


def _delete_image(world: World) -> Answer:
    job_id = _job_id(world)
    return world.client("DELETE", f"/unified/jobs/{job_id}/images/{image_id(job_id, 0)}")


def _is_deleted(world: World) -> None:
    """Whatever the first answer was: a second request finishes it."""
    assert _delete_image(world).status in (204, 404)
    [job] = world.jobs()
    assert job.images == ()


def _found(path: str) -> Callable[[World], Answer]:
    def get(world: World) -> Answer:
        name = f"{image_id(_job_id(world), 0)}.png"
        return world.client("GET", path.format(job=_job_id(world), name=name))

    return get


def _varied(world: World) -> None:
    _made(world)
    assert _found("/storage/images/default/demo/{name}?w=64")(world).status == 200


def _link(world: World) -> Answer:
    job_id = _job_id(world)
    url = f"/unified/jobs/{job_id}/images/{image_id(job_id, 0)}/link"
    return world.client("POST", url, {"w": 64}, {"Host": "x.example"})


def _linked(world: World) -> None:
    _varied(world)
    assert _link(world).status == 201


def _by_link(world: World) -> Answer:
    """A link made elsewhere, so that no call of making it is among those that fail."""
    [row] = [row for row in rows_of("keys") if row.get("tenant", {}).get("S") == world.tenant]
    key = LinkKey(row["pk"]["S"].removeprefix("link#"), world.tenant, row["secret"]["S"], 0.0)
    path = f"/storage/images/default/demo/{image_id(_job_id(world), 0)}.png"
    return world.client("GET", signed(path, {"w": "64"}, int(world.clock.now()) + 60, key))


def _get_batch(world: World) -> Answer:
    return world.client("GET", f"/unified/batches/{world.rows('#batch')[0]['sk']['S']}")


def _batch(world: World) -> None:
    assert world.client("POST", "/unified/generate/batch", BATCH, KEY).status == 202


def _make_key(world: World) -> None:
    _key, record = new_key(world.tenant, "", world.clock.now())
    DynamoKeyRing(boto3.client("dynamodb"), "keys").add(f"key-of-{world.tenant}", record)


def _authorized(world: World) -> Answer:
    """As the gateway: the authorizer first, whose finding the api function gets."""
    settings = Settings(require_api_key=True, keys_table="keys")
    event = {"methodArn": "arn", "headers": {"X-Api-Key": f"key-of-{world.tenant}"}}
    keys = DynamoKeys("keys")
    real = authorizer._settings, authorizer._keys
    authorizer._settings, authorizer._keys = lambda: settings, lambda: keys  # type: ignore[assignment]
    try:
        finding = authorizer.handler(event, None)["context"]
    finally:
        authorizer._settings, authorizer._keys = real
    world.client.identity = finding
    world.client.settings = settings
    return world.client("GET", "/unified/projects")


def _picture() -> str:
    target = io.BytesIO()
    Image.new("RGB", (8, 8)).save(target, "PNG")
    return base64.b64encode(target.getvalue()).decode()


def _project_is_there(world: World) -> None:
    world.client("POST", "/unified/projects", {"project_id": "p"})  # where the first was told to try again
    assert world.client("GET", "/unified/projects/p").status == 200


def _openai(count: int) -> Callable[[World], Answer]:
    return post("/v1/images/generations", {"prompt": "a fox"}, x_stainless_retry_count=str(count))


def _asked_of_openai(world: World) -> None:
    assert _openai(0)(world).status == 200
    world.settle()


CACHED = _unified("demo", seed=5)
REFERENCE = _unified("gemini", reference_image=_picture())
FLOWS: dict[str, Flow] = {
    "inline": Flow(post("/generate", {"prompt": "a fox"}, **KEY), DONE, repeats=True),
    "inline_unlimited": Flow(post("/generate", {"prompt": "a fox"}), DONE, limited=False, jobs_may_lack=True),
    "paid_shot": Flow(post("/unified/generate", _unified(PAID_SHOT), **KEY), DONE, 1, (PAID_SHOT,), repeats=True),
    "two_images": Flow(post("/unified/generate", _unified(PAID_SHOT, n=2), **KEY), DONE, 1, (PAID_SHOT,), repeats=True),
    "ticket_of_ours": Flow(
        post("/unified/generate", _unified(TICKET_OF_OURS), **KEY), DONE, 1, (TICKET_OF_OURS,), repeats=True
    ),
    "ticket_of_theirs": Flow(
        post("/unified/generate", _unified(TICKET_OF_THEIRS), **KEY), DONE, 1, (TICKET_OF_THEIRS,), repeats=True
    ),
    "openai": Flow(_openai(0), jobs_may_lack=True),
    "openai_repetition": Flow(_openai(1), prepare=_asked_of_openai),
    "respond_async": Flow(
        post("/unified/generate", _unified(PAID_SHOT), **KEY, **ASYNC), (202,), 1, (PAID_SHOT,), repeats=True
    ),
    "watchdog": Flow(_watchdog, (), 1, (PAID_SHOT,), _queued),
    "watchdog_of_a_dead_run": Flow(_watchdog, (), 1, (PAID_SHOT,), _left_behind),
    "dead_letter": Flow(_dead, (), 1, (PAID_SHOT,), _queued),
    "batch": Flow(post("/unified/generate/batch", BATCH, **KEY), (202,), 3, (PAID_SHOT,), repeats=True, cost=3),
    "cut_off_batch": Flow(
        post("/unified/generate/batch", BATCH, **KEY), (202,), 3, (PAID_SHOT,), _cut_off, repeats=True, cost=3
    ),
    "batch_is_read": Flow(_get_batch, (200,), 3, (PAID_SHOT,), _batch),
    "replay": Flow(
        post("/unified/generate", _unified(PAID_SHOT), **KEY),
        (200,),
        1,
        (PAID_SHOT,),
        _replayable,
    ),
    "cache": Flow(post("/unified/generate", CACHED), DONE, 2, prepare=_cached, jobs_may_lack=True),
    "reference": Flow(post("/unified/generate", REFERENCE, **KEY), DONE, 1, ("gemini",), repeats=True),
    "cancel": Flow(
        lambda world: world.client("DELETE", f"/unified/jobs/{_job_id(world)}"), (200,), 1, (PAID_SHOT,), _queued
    ),
    "delete_image": Flow(_delete_image, (204,), prepare=_made, check=_is_deleted),
    "list": Flow(_found("/unified/jobs?project_id=default"), prepare=_made),
    "job": Flow(_found("/unified/jobs/{job}"), prepare=_made),
    "download": Flow(_found("/download/{name}"), prepare=_made),
    "variant": Flow(_found("/storage/images/default/demo/{name}?w=64"), prepare=_made),
    "stored_variant": Flow(_found("/storage/images/default/demo/{name}?w=64"), prepare=_varied),
    "link": Flow(_link, (201,), prepare=_made),
    "by_link": Flow(_by_link, prepare=_linked),
    "projects": Flow(_found("/unified/projects"), prepare=_made),
    "project": Flow(_found("/unified/projects/default"), prepare=_made),
    "make_project": Flow(post("/unified/projects", {"project_id": "p"}), (201,), 0, check=_project_is_there),
    "authorizer": Flow(_authorized, jobs=0, prepare=_make_key),
    **WEBHOOKS,
}

"""Contract 9.1 and 12.9: webhooks of a request, their bodies, and the routes that list them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from lambdas.adapters.webhooks.urls import GuardedUrls
from lambdas.api.schemas.webhooks import render
from lambdas.domain import ids
from lambdas.domain.failures import Failure
from lambdas.domain.jobs.job import Attempt, Job, JobError, StoredImage
from lambdas.domain.jobs.request import Dropped, ImageRequest
from lambdas.domain.webhooks import DISABLED, EXHAUSTED, MAX_BYTES, Event, event_of
from lambdas.usecases.jobs.run_job import run_job
from tests.api.client import Client
from tests.support.fake_events import FakeUrls
from tests.support.fakes import FakeBlobs, FakeProviders, Fakes
from tests.support.hostile_urls import MALFORMED, ODD, PRIVATE

URL = "https://a.example/h"
ASYNC = {"Prefer": "respond-async"}


def job_of(client: Client, answer: Any) -> Job:
    job = client.deps.jobs.get("acme", answer.json()["generation_id"])
    assert job
    return job


def event_in(client: Client, job: Job) -> Event:
    event = client.deps.outbox.get("acme", job.id)
    assert event
    return event


def test_9_1_the_address_is_kept_and_the_event_made() -> None:
    client = Client()
    answer = client("POST", "/unified/generate", {"prompt": "x", "webhook_url": URL})
    assert answer.json()["metadata"]["dropped_params"] == []
    job = job_of(client, answer)
    assert (event_in(client, job).type, event_in(client, job).url) == ("generation.completed", URL)
    assert [m.job_id for m in client.deps.events.messages] == [job.id]


def test_without_an_address_nothing_is_looked_up() -> None:
    client = Client(Fakes(webhook_urls=FakeUrls("")))
    assert client("POST", "/unified/generate", {"prompt": "x"}).status == 200
    assert client("POST", "/unified/generate", {"prompt": "x", "webhook_url": None}).status == 200
    assert client.deps.events.messages == []


@pytest.mark.parametrize("url", [url for url in PRIVATE + MALFORMED + ODD if url] + ["", "x" * 2001, 5])
def test_12_9_what_can_be_seen_to_be_wrong_is_400_at_submit(url: object) -> None:
    client = Client(Fakes(webhook_urls=GuardedUrls(allow_private=False)))
    answer = client("POST", "/unified/generate", {"prompt": "x", "webhook_url": url})
    assert answer.status == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["webhook_url"]
    assert client.deps.jobs.rows == {}


def test_nothing_is_stored_for_an_address_that_is_refused() -> None:
    client = Client(Fakes(webhook_urls=FakeUrls(URL)))
    client("POST", "/unified/generate", {"prompt": "x", "webhook_url": URL, "reference_image": "AAAA"})
    assert client.deps.blobs.objects == {}


def test_an_address_that_said_410_is_named_in_dropped_params() -> None:
    client = Client()
    client.deps.outbox.disable("acme", URL, client.deps.clock.now() + 60)
    answer = client("POST", "/unified/generate", {"prompt": "x", "webhook_url": URL})
    [dropped] = answer.json()["metadata"]["dropped_params"]
    assert dropped["name"] == "webhook_url"
    assert "410" in dropped["reason"]
    client.identity["tenant"] = "other"
    answer = client("POST", "/unified/generate", {"prompt": "x", "webhook_url": URL})
    assert answer.json()["metadata"]["dropped_params"] == []


def test_the_items_of_a_batch_are_judged_on_their_own() -> None:
    urls = FakeUrls("https://bad")
    client = Client(Fakes(webhook_urls=urls))
    items = [
        {"prompt": "x", "webhook_url": URL},
        {"prompt": "x", "webhook_url": "https://bad.example/h"},
        {"prompt": "", "webhook_url": URL},
        {"prompt": "", "webhook_url": "https://bad.example/h"},
        {"prompt": "x", "webhook_url": 5},
        {"prompt": "x"},
    ]
    answer = client("POST", "/unified/generate/batch", {"requests": items})
    assert answer.status == 202
    jobs = [client.deps.jobs.get("acme", told["generation_id"]) for told in answer.json()["jobs"]]
    assert [job and job.status for job in jobs] == ["queued", "failed", "failed", "failed", "failed", "queued"]
    assert [job and job.request.webhook_url for job in jobs] == [URL, None, URL, None, None, None]
    refused = jobs[1] and jobs[1].error
    assert refused
    assert "webhook_url" in refused.message
    assert sorted(urls.asked) == ["https://a.example/h", "https://bad.example/h"]  # each once
    assert [m.job_id for m in client.deps.events.messages] == [jobs[2] and jobs[2].id]


def test_a_cancelled_job_is_told() -> None:
    client = Client()
    answer = client("POST", "/unified/generate", {"prompt": "x", "webhook_url": URL}, ASYNC)
    job = job_of(client, answer)
    assert client("DELETE", f"/unified/jobs/{job.id}").status == 200
    assert event_in(client, job).type == "generation.cancelled"
    assert [m.job_id for m in client.deps.events.messages] == [job.id]


def test_a_used_key_with_another_address_is_another_request() -> None:
    client = Client()
    headers = {"Idempotency-Key": "k"}
    first = client("POST", "/unified/generate", {"prompt": "x", "webhook_url": URL}, headers)
    again = client("POST", "/unified/generate", {"prompt": "x", "webhook_url": URL}, headers)
    assert first.json()["generation_id"] == again.json()["generation_id"]
    assert client("POST", "/unified/generate", {"prompt": "x", "webhook_url": URL + "2"}, headers).status == 409
    assert len(client.deps.events.messages) == 1


def listed(client: Client, query: str = "") -> Any:
    answer = client("GET", f"/unified/webhooks{query}")
    assert answer.status == 200
    return answer.json()


def some(client: Client, number: int) -> list[Job]:
    body = {"prompt": "x", "webhook_url": URL}
    jobs = []
    for _ in range(number):
        client.deps.clock.sleep(1)
        jobs.append(job_of(client, client("POST", "/unified/generate", body)))
    return jobs


def test_the_list_of_a_tenants_webhooks() -> None:
    client = Client()
    jobs = some(client, 3)
    event = event_in(client, jobs[0])
    client.deps.outbox.move(event, event.ended(EXHAUSTED, "HTTP 500", 500))
    first = listed(client, "?limit=2")
    assert [w["generation_id"] for w in first["webhooks"]] == [jobs[2].id, jobs[1].id]
    rest = listed(client, f"?limit=2&cursor={first['next_cursor']}")
    assert [w["generation_id"] for w in rest["webhooks"]] == [jobs[0].id]
    assert rest["next_cursor"] is None
    [given_up] = listed(client, "?state=exhausted")["webhooks"]
    assert given_up | {"created_at": ""} == {
        "generation_id": jobs[0].id,
        "webhook_id": f"msg_{jobs[0].id}",
        "type": "generation.completed",
        "url": URL,
        "state": "exhausted",
        "attempts": 0,
        "next_attempt_at": None,
        "created_at": "",
        "last_status": 500,
        "last_error": "HTTP 500",
    }
    assert listed(client, "?state=pending")["webhooks"][0]["next_attempt_at"]
    client.identity["tenant"] = "other"
    assert listed(client) == {"webhooks": [], "next_cursor": None}


@pytest.mark.parametrize("query", ["?state=lost", "?limit=0", "?limit=101", "?cursor=x", "?tenant=other"])
def test_the_list_is_asked_for_wrongly(query: str) -> None:
    assert Client()("GET", f"/unified/webhooks{query}").status == 400


def test_a_replay() -> None:
    client = Client()
    [job] = some(client, 1)
    assert client("POST", f"/unified/webhooks/{job.id}/replay").status == 409
    event = event_in(client, job)
    client.deps.outbox.move(event, replace(event, attempts=4).ended(DISABLED, "HTTP 410", 410))
    client.deps.outbox.disable("acme", URL, client.deps.clock.now() + 60)
    sent = len(client.deps.events.messages)
    answer = client("POST", f"/unified/webhooks/{job.id}/replay")
    assert (answer.status, answer.headers["Location"]) == (202, "/prod/unified/webhooks")
    assert (answer.json()["state"], answer.json()["attempts"]) == ("pending", 0)
    assert not client.deps.outbox.disabled("acme", URL, client.deps.clock.now())
    delays = [m.arrives - client.deps.clock.now() for m in client.deps.events.messages[sent:]]
    assert delays == [60, 0]


def test_a_replay_of_another_tenants_webhook_is_as_of_an_unknown_one() -> None:
    client = Client()
    [job] = some(client, 1)
    client.identity["tenant"] = "other"
    theirs = client("POST", f"/unified/webhooks/{job.id}/replay")
    unknown = client("POST", f"/unified/webhooks/{ids.new_job_id(1.0)}/replay")
    assert theirs.status == unknown.status == 404
    assert theirs.json() | {"instance": ""} == unknown.json() | {"instance": ""}


class LongUrls(FakeBlobs):
    """As S3 signs for a function: with a session's token in each URL."""

    def presign(self, key: str) -> str:
        return f"https://bucket.example/{key}?X-Amz-Security-Token={'t' * 1900}"


def a_job(**changes: Any) -> Job:
    request = changes.pop("request", ImageRequest("x", webhook_url=URL))
    images = tuple(_image(i) for i in range(changes.pop("images", 0)))
    job = Job(
        "acme", ids.new_job_id(1.0), request, "m", "demo", 1, 1.0, "req", started_at=1.5, images=images, **changes
    )
    return job.completed(1_790_000_000.25)


def _image(i: int) -> StoredImage:
    return StoredImage(f"im_{i}", f"im_{i}.png", f"images/a/{i}", "j", "default", "demo", 64, 64, "png", 1, 1, 1.0)


def body_of(job: Job, blobs: FakeBlobs | None = None) -> Any:
    event = event_of(job)
    assert event
    body = render(event, job, blobs or FakeBlobs())
    assert len(body) < MAX_BYTES
    return json.loads(body)


def test_9_1_the_body_is_the_job() -> None:
    client = Client()
    [job] = some(client, 1)
    body = body_of(job)
    assert body["type"] == "generation.completed"
    assert body["timestamp"] == body["data"]["finished_at"]
    assert body["data"] == client("GET", f"/unified/jobs/{job.id}").json()


def test_a_failed_job_with_its_error() -> None:
    client = Client()
    job = job_of(client, client("POST", "/unified/generate", {"prompt": "x", "webhook_url": URL}, ASYNC))
    assert isinstance(client.deps.providers, FakeProviders)
    client.deps.providers.providers.clear()
    ended = run_job("acme", job.id, client.deps.clock.now(), client.deps)
    assert ended
    body = body_of(ended)
    assert body["type"] == "generation.failed"
    assert body["data"]["error"]["code"]


ATTEMPT = Attempt("leonardo_ai", "a/model/of/some/length", "failed", Failure.UNAVAILABLE, 1.25, 0.01)
EMOJI = "🦊" * 10_000
HUGE: dict[str, dict[str, Any]] = {
    "prompt": {"request": ImageRequest(EMOJI, webhook_url=URL)},
    "control characters": {"request": ImageRequest("\x01" * 10_000, webhook_url=URL)},
    "images": {"images": 8},
    "attempts": {"attempts": (ATTEMPT,) * 400},
    "labels": {"request": ImageRequest("x", webhook_url=URL, labels={str(i) * 60: EMOJI[:500] for i in range(16)})},
    "error": {"error": JobError("failed", EMOJI)},
    "warnings": {"warnings": (EMOJI[:2000],) * 50},
    "dropped_params": {"dropped": (Dropped("steps", EMOJI[:2000]),) * 50},
}
ALL: dict[str, Any] = {
    "images": 8,
    "attempts": (ATTEMPT,) * 50,
    "error": JobError("failed", EMOJI),
    "warnings": (EMOJI[:2000],) * 50,
    "dropped": (Dropped("steps", EMOJI[:2000]),) * 50,
    "request": ImageRequest(EMOJI, webhook_url=URL, labels={str(i) * 60: EMOJI[:500] for i in range(16)}),
}


@pytest.mark.parametrize("what", sorted(HUGE))
def test_under_20_kb_whatever_is_long(what: str) -> None:
    data = body_of(a_job(**HUGE[what]), LongUrls())["data"]
    said = data["metadata"]["warnings"][-1]
    assert "/unified/jobs/" in said
    assert said.startswith(("prompt", "download_url", "attempts", "error", "dropped_params", "warnings", "labels"))


def test_under_20_kb_where_all_is_long() -> None:
    data = body_of(a_job(**ALL), LongUrls())["data"]
    assert len(data["prompt"]) >= 200
    assert len(data["metadata"]["attempts"]) == 5
    assert [image["local_url"] for image in data["images"]]


def test_what_is_cut_first() -> None:
    """Eight images leave no room for each URL twice: the prompt comes back, and what is the client's own stays."""
    request = ImageRequest("a fox " * 40, webhook_url=URL, labels={"order": "7"})
    data = body_of(a_job(request=request, images=8), LongUrls())["data"]
    assert data["prompt"] == "a fox " * 40
    assert data["labels"] == {"order": "7"}
    assert all(image["url"].startswith("https://bucket.example/") for image in data["images"])
    assert all(image["download_url"] == image["local_url"] for image in data["images"])
    assert data["metadata"]["warnings"][-1].startswith("download_url: cut")


def test_as_much_of_the_prompt_as_there_is_room_for() -> None:
    job = a_job(request=ImageRequest(EMOJI, webhook_url=URL))
    event = event_of(job)
    assert event
    size = len(render(event, job, FakeBlobs()))
    assert MAX_BYTES - 10 < size < MAX_BYTES


def test_a_short_job_is_whole() -> None:
    data = body_of(a_job(images=2))["data"]
    assert data["metadata"]["warnings"] == []


def test_half_a_character_does_not_break_it() -> None:
    assert body_of(a_job(prompt="\ud83e fox"))["data"]["prompt"] == "? fox"

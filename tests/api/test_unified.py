"""Contract 5.1 to 5.3, 12.3 and 12.6: the routes /unified/*, in process with in-memory ports."""

from __future__ import annotations

import base64
import io
import uuid
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from lambdas.adapters.images.pictures import PillowPictures
from lambdas.domain.errors import Unavailable
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.usecases.jobs.run_job import run_job
from tests.api.client import Answer, Client
from tests.support.fake_events import FakeUrls
from tests.support.fakes import FakeBlobs, FakeProvider, FakeProviders, Fakes

CORE, SD35, TURBO = "stability.stable-image-core-v1:1", "stability.sd3-5-large-v1:0", "stabilityai/sdxl-turbo"


def house(**scripts: list[object]) -> tuple[Client, dict[str, FakeProvider]]:
    """A service with these providers, each with its script."""
    providers = {name: FakeProvider(list(script)) for name, script in scripts.items()}  # type: ignore[arg-type]
    return Client(Fakes(providers=FakeProviders(**providers))), providers


def test_5_1_the_answer_in_full() -> None:
    client, _ = house(bedrock=[])
    answer = client("POST", "/unified/generate", {"prompt": "A fox", "n": 2, "seed": 5, "metadata": {"order": "7"}})
    assert answer.status == 200
    body = answer.json()
    assert uuid.UUID(body["generation_id"])
    assert (body["status"], body["provider"], body["prompt"]) == ("completed", "bedrock", "A fox")
    assert body["labels"] == {"order": "7"}
    assert [i["seed"] for i in body["images"]] == [5, 6]
    for image in body["images"]:
        assert image.keys() == {"id", "url", "local_url", "download_url", "width", "height", "format", "seed"}
    metadata = body["metadata"]
    assert metadata.keys() >= {
        "prompt_validation", "generation_time", "provider_model", "cost_usd", "cached", "dropped_params", "attempts",
    }  # fmt: skip
    assert metadata["cost_usd"] == pytest.approx(0.08)
    assert len(metadata["attempts"]) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"n": 0}, {"n": 9}, {"provider": "nobody"}, {"strategy": "best"}, {"format": "gif"}, {"project_id": "a/b"},
        {"project_id": ""}, {"fallback": "yes"}, {"fallback": []}, {"metadata": {"a": 1}}, {"metadata": {"": "x"}},
        {"reference_image": "!!"}, {"fallback": ["auto"]}, {"optimize_prompt": "no"}, {"cache": "on"}, {"unknown": 1},
    ],
)  # fmt: skip
def test_5_1_400_for_what_is_invalid(body: dict[str, object]) -> None:
    client, _ = house(bedrock=[])
    answer = client("POST", "/unified/generate", {"prompt": "x", **body})
    assert answer.status == 400, answer.body


def test_12_3_a_known_provider_that_is_not_configured() -> None:
    client, _ = house(bedrock=[])
    answer = client("POST", "/unified/generate", {"prompt": "x", "provider": "gemini"})
    assert (answer.status, answer.json()["code"]) == (400, "provider_unconfigured")
    answer = client("POST", "/unified/generate", {"prompt": "x", "provider": "sagemaker", "model": CORE})
    assert answer.status == 400


@pytest.mark.parametrize(
    "failure",
    [
        ProviderFailure(Failure.THROTTLED, "busy", retry_after=30),
        ProviderFailure(Failure.UNAVAILABLE, "down"),
        ProviderFailure(Failure.TIMEOUT, "slow", paid="unknown"),
        ProviderFailure(Failure.OUTCOME_UNKNOWN, "reset", paid="unknown"),
        ProviderFailure(Failure.BAD_ANSWER, "html", paid="unknown"),
        ProviderFailure(Failure.OUT_OF_CREDIT, "empty"),
        ProviderFailure(Failure.NOT_AUTHORIZED, "key"),
        ProviderFailure(Failure.FAILED, "job failed", paid="unknown"),
    ],
)
def test_another_provider_answers_and_the_receipt_says_why(failure: ProviderFailure) -> None:
    client, providers = house(bedrock=[failure], sagemaker=[])
    answer = client("POST", "/unified/generate", {"prompt": "x", "provider": "bedrock"})
    assert answer.status == 200, answer.body
    body = answer.json()
    assert (body["provider"], body["metadata"]["provider_model"]) == ("sagemaker", TURBO)
    assert [(a["provider"], a["error_code"]) for a in body["metadata"]["attempts"]] == [
        ("bedrock", failure.code),
        ("sagemaker", None),
    ]
    assert [d["name"] for d in body["metadata"]["dropped_params"]] == ["provider"]
    assert len(providers["bedrock"].orders) == 1
    assert answer.headers["X-Image-Provider"] == "sagemaker"


def test_a_policy_refusal_is_one_call_and_422() -> None:
    client, providers = house(bedrock=[ProviderFailure(Failure.CONTENT_POLICY, "no")], sagemaker=[])
    answer = client("POST", "/unified/generate", {"prompt": "x", "provider": "bedrock"})
    assert (answer.status, answer.json()["code"]) == (422, "content_policy")
    assert [len(p.orders) for p in providers.values()] == [1, 0]


def test_no_fallback_where_the_client_does_not_want_it() -> None:
    client, providers = house(bedrock=[ProviderFailure(Failure.OUT_OF_CREDIT, "empty")], sagemaker=[])
    answer = client("POST", "/unified/generate", {"prompt": "x", "provider": "bedrock", "fallback": False})
    assert (answer.status, answer.json()["code"]) == (502, "providers_failed")
    assert providers["sagemaker"].orders == []


def test_when_everybody_fails_it_is_502_and_the_job_names_every_attempt() -> None:
    down = ProviderFailure(Failure.FAILED, "broken", paid="unknown")
    client, _ = house(bedrock=[down] * 9, sagemaker=[down] * 9)
    answer = client("POST", "/unified/generate", {"prompt": "x"})
    assert answer.status == 502
    [job] = client("GET", "/unified/jobs").json()["jobs"]
    assert {a["provider"] for a in job["metadata"]["attempts"]} == {"bedrock", "sagemaker"}


def test_a_picture_that_is_none_is_replaced_by_anothers() -> None:
    from lambdas.domain.jobs.request import GeneratedImage

    client, _ = house(bedrock=[lambda order: GeneratedImage(b"<html>")], sagemaker=[])
    body = client("POST", "/unified/generate", {"prompt": "x", "provider": "bedrock"}).json()
    assert body["provider"] == "sagemaker"
    spoilt = body["metadata"]["attempts"][0]
    assert (spoilt["outcome"], spoilt["error_code"], spoilt["cost_usd"]) == ("failed", "bad_answer", 0.04)


def test_after_repeated_failures_a_provider_rests_and_then_503() -> None:
    down = ProviderFailure(Failure.UNAVAILABLE, "down")
    client, providers = house(bedrock=[down] * 100)
    statuses = [client("POST", "/unified/generate", {"prompt": "x"}).status for _ in range(12)]
    assert statuses[0] == 502
    assert statuses[-1] == 503
    calls = len(providers["bedrock"].orders)
    answer = client("POST", "/unified/generate", {"prompt": "x"})
    assert (answer.status, answer.json()["code"]) == (503, "none_available")
    assert 0 < int(answer.headers["Retry-After"]) <= 300
    assert len(providers["bedrock"].orders) == calls
    providers["bedrock"].script.clear()
    client.deps.clock.sleep(301)
    assert client("POST", "/unified/generate", {"prompt": "x"}).status == 200


def test_5_2_quick() -> None:
    client, _ = house(bedrock=[])
    answer = client("POST", "/unified/generate/quick", {"prompt": "A fox"})
    assert (answer.status, answer.json()["status"]) == (200, "completed")
    assert client("POST", "/unified/generate/quick", {"prompt": "A fox", "n": 2}).status == 400


def test_5_3_a_batch() -> None:
    client, providers = house(bedrock=[])
    items = [{"prompt": "one"}, {"prompt": ""}, {"prompt": "two", "provider": "gemini"}, {"prompt": "three", "n": 2}]
    answer = client("POST", "/unified/generate/batch", {"requests": items})
    assert answer.status == 202
    body = answer.json()
    assert [job["status"] for job in body["jobs"]] == ["queued", "failed", "failed", "queued"]
    batch = client("GET", f"/unified/batches/{body['batch_id']}").json()
    assert (batch["status"], batch["counts"]) == ("running", {"queued": 2, "failed": 2})
    assert [job["error"] and job["error"]["code"] for job in batch["jobs"]] == [
        None, "invalid_request", "provider_unconfigured", None,
    ]  # fmt: skip
    work = [m for m in client.deps.queue.sent if not m["watchdog"]]
    assert len(work) == 2
    for message in work:
        run_job(message["tenant"], message["job_id"], client.deps.clock.now() + 800, client.deps)
    batch = client("GET", f"/unified/batches/{body['batch_id']}").json()
    assert (batch["status"], batch["counts"]) == ("completed", {"completed": 2, "failed": 2})
    assert len(providers["bedrock"].orders) == 3
    other = Client(client.deps, identity={"tenant": "umbrella", "auth": "ok"})
    assert other("GET", f"/unified/batches/{body['batch_id']}").status == 404
    assert client("GET", "/unified/batches/1").status == 404


@pytest.mark.parametrize("requests", [[], [{"prompt": "x"}] * 101, "x", {}, None])
def test_5_3_a_batch_of_the_wrong_size_or_shape(requests: object) -> None:
    client, _ = house(bedrock=[])
    assert client("POST", "/unified/generate/batch", {"requests": requests}).status == 400


def test_5_3_a_batch_under_an_idempotency_key_is_made_once() -> None:
    client, _ = house(bedrock=[])
    body, key = {"requests": [{"prompt": "a"}, {"prompt": "b"}]}, {"Idempotency-Key": "batch-1"}
    first = client("POST", "/unified/generate/batch", body, key).json()
    again = client("POST", "/unified/generate/batch", body, key)
    assert again.json()["batch_id"] == first["batch_id"]
    assert [j["generation_id"] for j in again.json()["jobs"]] == [j["generation_id"] for j in first["jobs"]]
    assert len(client("GET", "/unified/jobs").json()["jobs"]) == 2
    assert client("POST", "/unified/generate/batch", {"requests": [{"prompt": "c"}]}, key).status == 409
    jobs = client.deps.jobs.rows
    del jobs["acme", first["jobs"][1]["generation_id"]]  # as if the first request had been cut off
    finished = client("POST", "/unified/generate/batch", body, key)
    assert [j["generation_id"] for j in finished.json()["jobs"]] == [j["generation_id"] for j in first["jobs"]]
    assert len(jobs) == 2


def test_a_reference_image_is_stored_and_handed_to_a_model_that_takes_one() -> None:
    client, providers = house(demo=[])
    data = base64.b64encode(b"64x64:ref").decode()
    answer = client("POST", "/unified/generate", {"prompt": "x", "reference_image": f"data:image/png;base64,{data}"})
    assert answer.status == 200
    assert providers["demo"].orders[0].reference == b"64x64:ref"
    client, _ = house(leonardo_ai=[])
    none = {"prompt": "x", "model": "lucid-origin", "reference_image": data}
    refused = client("POST", "/unified/generate", none)
    assert (refused.status, refused.json()["errors"][0]["field"]) == (400, "reference_image")
    gif = base64.b64encode(b"GIF89a").decode()
    for label, sent, status in (("png", gif, 415), ("gif", data, 200)):  # the bytes decide, and not the label
        uri = f"data:image/{label};base64,{sent}"
        assert client("POST", "/unified/generate", {"prompt": "x", "reference_image": uri}).status == status


def test_a_reference_image_is_as_large_as_its_model_needs_it_or_named() -> None:
    provider = FakeProvider()
    client = Client(Fakes(providers=FakeProviders(bedrock=provider), pictures=PillowPictures()))

    def asked(width: int, height: int) -> Answer:
        out = io.BytesIO()
        Image.new("RGB", (width, height), "teal").save(out, "PNG")
        data = base64.b64encode(out.getvalue()).decode()
        body = {"prompt": "x", "provider": "bedrock", "reference_image": data, "fallback": False}
        return client("POST", "/unified/generate", body)

    for size, sent in (((80, 90), (80, 90)), ((20, 400), (64, 1280))):
        asked(*size)
        order = provider.orders[-1]
        assert order.reference
        assert Image.open(io.BytesIO(order.reference)).size == sent
        assert order.reference_type == "image/png"
    refused = asked(1, 20_000).json()
    assert (refused["status"], [e["field"] for e in refused["errors"]]) == (400, ["reference_image"])
    assert refused["attempts"] == []


def test_a_request_that_is_refused_leaves_no_upload_behind() -> None:
    client, _ = house(bedrock=[])
    blobs = client.deps.blobs.objects
    picture = base64.b64encode(b"64x64:ref").decode()
    sent = {"prompt": "x", "reference_image": picture}
    key = {"Idempotency-Key": "k"}
    assert client("POST", "/unified/generate", {**sent, "model": CORE}).status == 400
    assert client("POST", "/unified/generate", {**sent, "provider": "gemini"}).status == 400
    refused = client("POST", "/unified/generate/batch", {"requests": [{**sent, "model": CORE}]})
    assert refused.json()["jobs"][0]["status"] == "failed"
    assert blobs == {}
    assert client("POST", "/unified/generate", {"prompt": "x"}, key).status == 200
    before = set(blobs)
    assert client("POST", "/unified/generate", {**sent, "model": SD35}, key).status == 409
    assert set(blobs) == before
    accepted = client("POST", "/unified/generate", {**sent, "model": SD35}, {"Prefer": "respond-async"})
    assert accepted.status == 202
    [upload] = set(blobs) - before
    assert upload.startswith("uploads/acme/")
    job = client.deps.jobs.get("acme", accepted.json()["generation_id"])
    assert job
    assert job.request.reference_key == upload


class Shut:
    """A port out of reach."""

    def __getattr__(self, name: str) -> Any:
        raise Unavailable("out of reach")


@pytest.mark.parametrize("path", ["/unified/generate", "/unified/generate/batch"])
def test_1_6_an_answer_is_given_again_whatever_has_changed_since(path: str) -> None:
    client, _ = house(bedrock=[])
    picture = base64.b64encode(b"64x64:ref").decode()
    item = {"prompt": "x", "model": SD35, "reference_image": picture, "webhook_url": "https://a.example/hook"}
    body, key = (item if path == "/unified/generate" else {"requests": [item]}), {"Idempotency-Key": "k"}
    first = client("POST", path, body, key)
    assert first.status in (200, 202)
    changes: dict[str, dict[str, Any]] = {
        "the address is private now": {"webhook_urls": FakeUrls("https://a.example")},
        "the picture cannot be decoded now": {"pictures": Shut()},
        "the bucket takes nothing": {"blobs": _Full()},
        "the model is not offered any more": {"providers": FakeProviders()},
        "the queue is down": {"queue": Shut(), "events": Shut()},
    }
    for ports in (*changes.values(), {name: port for change in changes.values() for name, port in change.items()}):
        client.deps = replace(client.deps, **ports)
        again = client("POST", path, body, key)
        assert (again.status, again.json()) == (first.status, first.json())
        assert again.headers["Idempotency-Replayed"] == "true"
        other = client(
            "POST", path, {**body, "requests": [item, item]} if "requests" in body else {**body, "n": 2}, key
        )
        assert (other.status, other.json()["code"]) == (409, "idempotency_mismatch")


class _Full(FakeBlobs):
    def put(self, *_: Any, **__: Any) -> None:
        raise Unavailable("out of reach")


def test_12_6_an_equal_request_with_a_seed_is_answered_from_the_cache() -> None:
    client, providers = house(bedrock=[])
    body = {"prompt": "A fox", "seed": 7, "width": 512}
    first = client("POST", "/unified/generate", body).json()
    again = client("POST", "/unified/generate", {**body, "metadata": {"a": "b"}}).json()
    assert (first["metadata"]["cached"], again["metadata"]["cached"]) == (False, True)
    assert again["generation_id"] != first["generation_id"]
    assert [i["id"] for i in again["images"]] == [i["id"] for i in first["images"]]
    assert (again["metadata"]["cost_usd"], again["metadata"]["attempts"]) == (0, [])
    assert len(providers["bedrock"].orders) == 1
    for other in ({"cache": "off"}, {"seed": 8}, {"width": 640}, {"prompt": "a fox"}, {"n": 2}):
        assert client("POST", "/unified/generate", {**body, **other}).json()["metadata"]["cached"] is False
    no_seed = {"prompt": "A fox"}
    for _ in range(2):
        assert client("POST", "/unified/generate", no_seed).json()["metadata"]["cached"] is False
    stranger = Client(client.deps, identity={"tenant": "umbrella", "auth": "ok"})
    assert stranger("POST", "/unified/generate", body).json()["metadata"]["cached"] is False

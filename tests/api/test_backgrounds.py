"""Contract 3.4 and 4.1 to 4.3: the routes of the purge and of product backgrounds, as forms and as JSON."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import jsonschema_rs
import pytest
from PIL import Image

from lambdas.adapters.images.pictures import PillowPictures
from lambdas.api.openapi import document
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.ports.providers import Purged
from lambdas.providers.demo.provider import Demo
from lambdas.settings import Settings
from tests.api.client import Answer, Client
from tests.gpu_worker.background.products import draw
from tests.support.fakes import FakeLimits, FakeProvider, FakeProviders, Fakes
from tests.support.forms import form, headers, hostile, part

PRODUCT = draw(0).file(alpha=True)
PLAIN = draw(1).file(alpha=False, kind="JPEG")
PATHS = ("/generate", "/v1/backgrounds")


@pytest.fixture
def client() -> Client:
    deps = Fakes(pictures=PillowPictures(), providers=FakeProviders(demo=Demo()))
    return Client(deps)


def post(client: Client, path: str, fields: dict[str, Any], file: bytes = PRODUCT, **more: str) -> Answer:
    body, kind = form(fields, file)
    return client("POST", path, body, kind | more)


def as_json(fields: dict[str, Any], file: bytes = PRODUCT) -> dict[str, Any]:
    return {"task": "background", "image": base64.b64encode(file).decode(), **fields}


def stored(client: Client, url: str) -> Any:
    key = url.removeprefix("https://bucket.example/").partition("?")[0]
    return Image.open(io.BytesIO(client.deps.blobs.get(key) or b""))


@pytest.mark.parametrize("path", PATHS)
def test_a_form_and_json_give_the_same_image(client: Client, path: str) -> None:
    fields = {"prompt": "on a rock", "negative_prompt": "birds", "seed": 7, "padding": 20, "format": "webp"}
    by_form = post(client, path, fields)
    by_json = client("POST", path, as_json(fields))
    assert by_form.status == by_json.status == 200, by_form.body
    said = by_form.json()
    assert set(said) == {"status", "image_url", "mask_url", "confidence", "seed", "generation_id", "metadata"}
    assert (said["status"], said["seed"]) == ("success", 7)
    assert 0 < said["confidence"] <= 1
    assert by_form.headers["X-Image-Provider"] == "demo"
    pictures = [stored(client, answer.json()["image_url"]) for answer in (by_form, by_json)]
    assert pictures[0].format == "WEBP"
    assert pictures[0].tobytes() == pictures[1].tobytes()
    assert stored(client, said["mask_url"]).size == pictures[0].size


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_each_kind_of_photo_is_taken(client: Client, kind: str) -> None:
    answer = post(client, "/generate", {}, draw(2).file(alpha=False, kind=kind))
    assert answer.status == 200, answer.body
    assert stored(client, answer.json()["image_url"]).size == (160, 120)


def test_a_data_uri_is_taken(client: Client) -> None:
    uri = "data:image/jpeg;base64," + base64.b64encode(PLAIN).decode()
    assert client("POST", "/v1/backgrounds", {"image": uri}).status == 200


def test_empty_fields_of_a_form_are_as_none(client: Client) -> None:
    empty = dict.fromkeys(("prompt", "negative_prompt", "seed", "width", "height", "padding", "format"), "")
    answer = post(client, "/generate", empty)
    assert answer.status == 200, answer.body
    job = client("GET", f"/unified/jobs/{answer.json()['generation_id']}").json()
    assert "table" in job["prompt"]
    assert job["images"][0]["width"] == 160


def test_what_is_low_is_said_and_what_it_is_made_of(client: Client) -> None:
    answer = post(client, "/generate", {}, draw(0, scale=0.1).file(alpha=True)).json()
    assert answer["confidence"] < 0.5
    assert any("low confidence" in sentence for sentence in answer["metadata"]["warnings"])
    parts = answer["metadata"]["confidence_components"]
    assert set(parts) >= {"mask_certainty", "edge_clipped", "area_fraction", "exact_pixel_fraction"}
    sure = post(client, "/generate", {}).json()
    assert sure["confidence"] > 0.8
    assert sure["metadata"]["warnings"] == []


def test_jpeg_is_given_and_what_it_means_is_said(client: Client) -> None:
    answer = post(client, "/generate", {"format": "jpeg"}).json()
    assert stored(client, answer["image_url"]).format == "JPEG"
    assert any("JPEG cannot keep" in sentence for sentence in answer["metadata"]["warnings"])


def test_a_job_shows_it_and_a_tenant_its_own_alone(client: Client) -> None:
    queued = post(client, "/generate", {"seed": 3}, Prefer="respond-async")
    assert (queued.status, set(queued.json())) == (202, {"generation_id", "status"})
    job_id = queued.json()["generation_id"]
    assert queued.headers["Location"] == f"/prod/unified/jobs/{job_id}"
    client.deps.workers.run("acme", job_id, 30)
    job = client("GET", f"/unified/jobs/{job_id}").json()
    [image] = job["images"]
    assert (job["status"], image["seed"], 0 < image["confidence"] <= 1) == ("completed", 3, True)
    assert stored(client, image["mask_url"]).size == (image["width"], image["height"])
    assert f"images/acme/default/demo/{image['id']}" in image["mask_url"]
    other = Client(client.deps, identity={"tenant": "globex", "auth": "ok"})
    assert other("GET", f"/unified/jobs/{job_id}").status == 404
    assert other("GET", image["local_url"]).status == 404
    assert client("GET", f"/files/{image['id']}_mask.png").status == 404  # by its signed link alone
    assert client("DELETE", f"/unified/jobs/{job_id}/images/{image['id']}").status == 204
    assert not [key for key in client.deps.blobs.objects if "images/" in key]


def test_an_equal_form_under_one_key_is_the_first_one_again_whatever_its_boundary(client: Client) -> None:
    key = {"Idempotency-Key": "k1"}
    first = post(client, "/generate", {"prompt": "a"}, PRODUCT, **key)
    body, kind = form({"prompt": "a"}, PRODUCT, boundary="quite-another")
    again = client("POST", "/generate", body, kind | key)
    assert again.json()["generation_id"] == first.json()["generation_id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert post(client, "/generate", {"prompt": "b"}, PRODUCT, **key).status == 409
    assert post(client, "/generate", {"prompt": "a"}, PLAIN, **key).status == 409


def test_it_counts_against_the_rate(client: Client) -> None:
    deps = Fakes(
        pictures=PillowPictures(),
        providers=FakeProviders(demo=Demo()),
        limits=FakeLimits(2),
    )
    limited = Client(deps)
    assert [post(limited, path, {}).status for path in (*PATHS, "/generate")] == [200, 200, 429]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", sorted(hostile(PRODUCT)))
def test_a_hostile_form_is_refused_in_the_right_words(client: Client, path: str, name: str) -> None:
    body, kind, status = hostile(PRODUCT)[name]
    answer = client("POST", path, body, kind)
    assert answer.status == status, answer.body
    said = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(said) >= {"type", "title", "status", "detail", "instance", "code"}
    assert len(said["detail"]) < 1_100
    assert not client.deps.jobs.rows


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("two files", "file"),
        ("no file", "file"),
        ("a file that is no picture", "file"),
        ("an unknown field", "steps"),
        ("another file", "mask"),
        ("a field twice", "prompt"),
        ("a file for a text", "prompt"),
        ("a seed in words", "seed"),
        ("a side alone", "height"),
        ("a padding without end", "padding"),
    ],
)
def test_what_is_wrong_in_a_form_is_named(client: Client, name: str, field: str) -> None:
    body, kind, _ = hostile(PRODUCT)[name]
    assert field in {e["field"] for e in client("POST", "/generate", body, kind).json()["errors"]}


def test_a_form_of_many_parts_is_left_at_the_first_too_many(client: Client) -> None:
    body, kind, _ = hostile(PRODUCT)["many parts"]
    assert "20 parts at the most" in client("POST", "/generate", body, kind).json()["detail"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"image": "!!!"}, "image"),
        ({"image": "aGVsbG8="}, "image"),
        ({"image": ""}, "image"),
        ({"image": None}, "image"),
        ({"image": 7}, "image"),
        ({"upload_id": "up_1"}, "upload_id"),
        ({"task": "upscale"}, "task"),
        ({"task": None}, "task"),
        ({"width": 512}, "height"),
        ({"width": 64, "height": 64}, "image"),
        ({"seed": "7"}, "seed"),
        ({"model": "demo/procedural-1"}, "model"),
    ],
)
def test_json_is_held_to_the_same(client: Client, fields: dict[str, Any], field: str) -> None:
    answer = client("POST", "/generate", as_json({}) | fields)
    assert answer.status == 400, answer.body
    assert field in {e["field"] for e in answer.json()["errors"]}


def test_a_picture_of_too_many_pixels_is_413(client: Client) -> None:
    out = io.BytesIO()
    Image.new("1", (6000, 5000)).save(out, "PNG")
    assert post(client, "/generate", {}, out.getvalue()).status == 413


def test_a_photo_beyond_the_canvas_is_refused_before_a_job_is_made(client: Client) -> None:
    out = io.BytesIO()
    Image.new("RGB", (4100, 100), "red").save(out, "PNG")
    answer = post(client, "/generate", {}, out.getvalue())
    said = answer.json()
    assert (answer.status, "within 16 to 4096" in said["detail"]) == (400, True)
    assert "send padding, or width and height" in said["detail"]
    assert [e["field"] for e in said["errors"]] == ["file"]


def test_plain_generation_is_as_it_was(client: Client) -> None:
    answer = client("POST", "/generate", {"prompt": "a city"})
    assert set(answer.json()) == {"status", "image_url", "generation_id", "metadata"}
    assert client("POST", "/generate", {"prompt": "a city", "image": "AAAA"}).status == 400
    assert client("POST", "/generate", {}).status == 400
    for path in ("/v1/generate", "/unified/generate"):
        assert client("POST", path, part("file", PRODUCT, "p.png"), headers()).status == 415


def test_without_anybody_who_can_it_says_so(client: Client) -> None:
    alone = Client(Fakes(pictures=PillowPictures(), providers=FakeProviders(gemini=FakeProvider())))
    answer = post(alone, "/generate", {})
    assert (answer.status, answer.json()["code"]) == (400, "provider_unconfigured")


@pytest.mark.parametrize("path", PATHS)
def test_the_document_says_what_is_answered(client: Client, path: str) -> None:
    spec = document()
    operation = spec["paths"][path]["post"]
    content = operation["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    sent = spec["components"]["schemas"]["BackgroundForm"]
    assert content["multipart/form-data"]["schema"] == {"$ref": "#/components/schemas/BackgroundForm"}
    assert (sent["required"], sent["additionalProperties"]) == (["file"], False)
    assert (sent["properties"]["file"]["type"], sent["properties"]["file"]["format"]) == ("string", "binary")
    answer = post(client, path, {}).json()
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema_rs.validator_for({**schema, "components": spec["components"]}).validate(answer)


# The purge


class _Worker(FakeProvider):
    """Has two models in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str | None, float]] = []
        self.fails: ProviderFailure | None = None

    def purge(self, model_id: str | None, timeout: float) -> Purged:
        self.asked.append((model_id, timeout))
        if self.fails:
            raise self.fails
        gone = tuple(name for name in ("a/b", "c/d") if model_id in (None, name))
        return Purged(gone, tuple(name for name in ("a/b", "c/d") if name not in gone))


def _keeper() -> tuple[Client, _Worker]:
    worker = _Worker()
    return Client(Fakes(providers=FakeProviders(sagemaker=worker))), worker


@pytest.mark.parametrize("body", [b"", b"{}", b'{"model_id": null}'])
def test_a_purge_empties_all(body: bytes) -> None:
    client, worker = _keeper()
    answer = client("POST", "/v1/models/purge", body)
    assert (answer.status, answer.json()) == (200, {"model_id": None, "removed": ["a/b", "c/d"], "remaining": []})
    assert worker.asked[0][0] is None
    assert 0 < worker.asked[0][1] <= 25


def test_a_purge_of_one_leaves_the_others() -> None:
    answer = _keeper()[0]("POST", "/v1/models/purge", {"model_id": "a/b"})
    assert answer.json() == {"model_id": "a/b", "removed": ["a/b"], "remaining": ["c/d"]}


@pytest.mark.parametrize("required", [True, False])
def test_a_purge_needs_a_key_also_where_none_is_required(required: bool) -> None:
    client, worker = _keeper()
    client.settings = Settings(require_api_key=required)
    client.identity = {"auth": "missing"}
    answer = client("POST", "/v1/models/purge", {})
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    client.identity = {"auth": "unknown"}
    assert client("POST", "/v1/models/purge", {}).status == 403
    assert worker.asked == []


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (ProviderFailure(Failure.UNAVAILABLE, "x", retry_after=3), 503),
        (ProviderFailure(Failure.THROTTLED, "x"), 503),
        (ProviderFailure(Failure.TIMEOUT, "x"), 504),
        (ProviderFailure(Failure.BAD_ANSWER, "x"), 502),
    ],
)
def test_a_purge_that_fails_says_how(failure: ProviderFailure, status: int) -> None:
    client, worker = _keeper()
    worker.fails = failure
    answer = client("POST", "/v1/models/purge", {})
    assert answer.status == status
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_without_a_worker_at_hand_nothing_can_be_purged() -> None:
    for providers, code in (
        (FakeProviders(demo=FakeProvider()), "provider_unconfigured"),
        (FakeProviders(sagemaker=FakeProvider()), "not_supported"),  # behind a queue
    ):
        answer = Client(Fakes(providers=providers))("POST", "/v1/models/purge", {})
        assert (answer.status, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize("body", [{"model": "a/b"}, {"model_id": ""}, {"model_id": 7}, [], "x"])
def test_what_is_no_purge_is_refused(body: Any) -> None:
    client, worker = _keeper()
    assert client("POST", "/v1/models/purge", json.dumps(body).encode()).status == 400
    assert worker.asked == []


def test_the_document_says_that_a_purge_needs_a_key() -> None:
    operation = document()["paths"]["/v1/models/purge"]["post"]
    assert operation["security"] == [{"ApiKey": []}, {"Bearer": []}]
    assert operation["requestBody"]["required"] is False

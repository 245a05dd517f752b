"""The contract's statements about routes, in process with in-memory ports."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from lambdas.domain import catalogue
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.job import StoredImage
from lambdas.settings import Settings
from tests.api.client import Client
from tests.support.fakes import FakeProvider, FakeProviders, Fakes, FakeWorkers

CORE = "stability.stable-image-core-v1:1"


def with_bedrock(*script: object, **changes: Any) -> Client:
    provider = FakeProvider(list(script))  # type: ignore[arg-type]
    return Client(Fakes(providers=FakeProviders(bedrock=provider), **changes))


def provider_of(client: Client) -> FakeProvider:
    return client.deps.providers.get("bedrock")  # type: ignore[return-value]


def test_2_1_generate_answers_a_pre_signed_url() -> None:
    answer = Client()("POST", "/generate", {"prompt": "A futuristic city"})
    assert answer.status == 200
    body = answer.json()
    assert body["status"] == "success"
    assert body["image_url"].startswith("https://")
    assert body["metadata"]["provider"] == "demo"
    assert answer.headers["X-Image-Provider"] == "demo"


def test_2_2_and_2_3_generate_image_names_a_file_that_can_be_downloaded() -> None:
    client = Client()
    name = client("POST", "/generate-image", {"prompt": "A fox"}).json()["image_url"]
    assert re.fullmatch(r"[a-z0-9_]+\.png", name)
    file = client("GET", f"/download/{name}")
    assert (file.status, file.headers["Content-Type"]) == (200, "image/png")
    assert file.body.startswith(b"512x512:png:")
    head = client("HEAD", f"/download/{name}")
    # the gateway leaves the body out, and counts it for Content-Length
    assert (head.status, head.body, head.headers["Content-Type"]) == (200, file.body, "image/png")


@pytest.mark.parametrize("name", ["nothing.png", "im_0123456789abcdef.png", "..%2f..%2fetc", "im_0123456789abcdef.gif"])
def test_2_3_an_unknown_name_is_404(name: str) -> None:
    assert Client()("GET", f"/download/{name}").status == 404


def test_2_3_a_file_too_large_for_the_gateway_is_a_redirect() -> None:
    client = Client()
    name = client("POST", "/generate-image", {"prompt": "A fox"}).json()["image_url"]
    images = client.deps.jobs.images
    images["acme", name] = replace(images["acme", name], bytes=4_500_001)
    answer = client("GET", f"/download/{name}")
    assert answer.status == 307
    assert answer.headers["Location"].startswith("https://bucket.example/images/acme/default/demo/")


def test_3_1_generate_of_the_model_service() -> None:
    client = Client()
    answer = client(
        "POST", "/v1/generate", {"prompt": "A fox", "params": {"seed": 123456789, "width": 640, "height": 384}}
    )
    body = answer.json()
    assert answer.status == 200
    assert body["status"] == "completed"
    assert body["error"] is None
    [image] = body["images"]
    assert re.fullmatch(r"im_[0-9a-f]+", image["image_id"])
    assert image["url"] == f"/files/{image['image_id']}.png"
    assert image["seed"] == 123456789
    assert body["audit"]["policy"] == "standard"
    assert re.fullmatch(r"\d+\.\d{3}", body["audit"]["duration_sec"])
    assert client("GET", image["url"]).body.startswith(b"640x384:png:")


def test_3_1_a_seed_is_drawn_and_returned_and_makes_the_same_image_again() -> None:
    client = Client()
    first = client("POST", "/v1/generate", {"prompt": "A fox"}).json()["images"][0]
    assert 0 <= first["seed"] < 2**32
    again = client("POST", "/v1/generate", {"prompt": "A fox", "params": {"seed": first["seed"]}}).json()["images"][0]
    assert client("GET", first["url"]).body == client("GET", again["url"]).body


def test_3_1_a_safe_negative_prompt_is_the_default() -> None:
    client = with_bedrock()
    client("POST", "/v1/generate", {"prompt": "A fox"})
    client("POST", "/v1/generate", {"prompt": "A fox", "negative_prompt": "dogs"})
    orders = provider_of(client).orders
    assert "nsfw" in (orders[0].negative_prompt or "")
    assert orders[1].negative_prompt == "dogs"


def test_3_1_base_url_prefixes_the_file() -> None:
    client = Client(settings=Settings(base_url="https://img.example/"))
    image = client("POST", "/v1/generate", {"prompt": "A fox"}).json()["images"][0]
    assert image["url"] == f"https://img.example/files/{image['image_id']}.png"


def test_3_3_models_in_both_readings() -> None:
    body = with_bedrock()("GET", "/v1/models").json()
    assert body["object"] == "list"
    row = body["data"][0]
    assert row["object"] == "model"
    assert row.keys() >= {"id", "created", "owned_by", "provider", "capabilities", "status", "retires_on"}
    assert (row["id"], row["status"]) == (CORE, "available")
    assert body["default_model"] == "stabilityai/sdxl-turbo"
    assert CORE in body["models"]
    retired = [r for r in body["data"] if r["status"] == "retired"]
    assert retired
    assert all(r["replacement"] and r["id"] not in body["models"] for r in retired)


def test_3_3_what_a_row_tells() -> None:
    rows = {row["id"]: row for row in with_bedrock()("GET", "/v1/models").json()["data"]}
    core, turbo, dead = rows[CORE], rows["stabilityai/sdxl-turbo"], rows["amazon.nova-canvas-v1:0"]
    assert (core["price_usd"], core["prompt_max"], core["honours"]) == (0.04, 10_000, ["negative_prompt", "seed"])
    assert core["sizes"][:2] == ["1024x1024", "1344x768"]
    assert turbo["sizes"] == {"min": 256, "max": 1024, "step": 8, "max_pixels": 768 * 768}
    assert turbo["licence"].startswith("Stability AI Community")
    assert (dead["retires_on"], dead["shutdown_date"]) == ("2026-09-30", "2026-09-30")
    assert (dead["price_usd"], dead["sizes"], dead["honours"]) == (None, None, [])


@pytest.mark.parametrize("house", ["bedrock", "demo", "allowed", "nothing"])
def test_3_3_models_are_those_that_3_1_takes(house: str) -> None:
    """Each id of the catalogue is tried, the retired and the editing ones too."""
    houses: dict[str, Callable[[], Client]] = {
        "bedrock": with_bedrock,
        "demo": Client,
        "allowed": lambda: with_bedrock(allowed_models=(CORE, "stabilityai/sdxl-turbo")),
        "nothing": lambda: Client(Fakes(providers=FakeProviders())),
    }
    client = houses[house]()
    listed = client("GET", "/v1/models").json()["models"]
    known = [card.id for card in catalogue.CARDS] + [gone.id for gone in catalogue.RETIRED]
    taken = {
        model
        for model in known
        if client("POST", "/v1/generate", {"prompt": "a red circle", "params": {"model": model}}).status == 200
    }
    assert set(listed) == taken
    assert bool(listed) == (house != "nothing")


MODELS = ["stabilityai/sdxl-turbo", CORE, "runware:101@1", "gemini-3-pro-image", "amazon.nova-canvas-v1:0"]


@pytest.mark.parametrize("spelled", [lambda name: name, lambda name: quote(name, safe=""), quote])
@pytest.mark.parametrize("model", MODELS)
def test_3_3_one_model(model: str, spelled: Callable[[str], str]) -> None:
    client = with_bedrock()
    answer = client("GET", f"/v1/models/{spelled(model)}")
    assert answer.status == 200
    assert answer.json() == next(r for r in client("GET", "/v1/models").json()["data"] if r["id"] == model)
    head = client("HEAD", f"/v1/models/{spelled(model)}")
    assert head.status == 200
    refused = client("DELETE", f"/v1/models/{spelled(model)}")
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize(
    "model", ["nobody", "a/b", "a%2Fb", "%252F", "stabilityai", "stabilityai/", "..%2Fx", "%00", "é"]
)
def test_3_3_no_such_model(model: str) -> None:
    answer = with_bedrock()("GET", f"/v1/models/{model}")
    assert (answer.status, answer.json()["code"]) == (404, "not_found")


def test_3_3_a_model_that_is_not_allowed_is_none() -> None:
    client = with_bedrock(allowed_models=(CORE,))
    assert client("GET", f"/v1/models/{CORE}").status == 200
    assert client("GET", "/v1/models/stabilityai/sdxl-turbo").status == 404


def test_3_3_allowed_models_are_the_only_ones() -> None:
    client = with_bedrock(allowed_models=(CORE,))
    assert client("GET", "/v1/models").json()["models"] == [CORE]
    refused = client("POST", "/v1/generate", {"prompt": "x", "params": {"model": "stability.sd3-5-large-v1:0"}})
    assert (refused.status, refused.json()["code"]) == (400, "unknown_model")


def test_3_5_jobs_have_moved() -> None:
    answer = Client()("GET", "/v1/jobs/abc")
    assert answer.status == 410
    assert "/unified/jobs/abc" in answer.json()["detail"]


def test_12_3_a_retired_model_is_refused_with_its_replacement() -> None:
    answer = with_bedrock()(
        "POST", "/v1/generate", {"prompt": "x", "params": {"model": "stability.stable-diffusion-xl-v1"}}
    )
    assert (answer.status, answer.json()["code"]) == (400, "model_retired")
    assert CORE in answer.json()["detail"]


def test_12_3_a_model_whose_provider_is_not_configured() -> None:
    answer = with_bedrock()("POST", "/v1/generate", {"prompt": "x", "params": {"model": "stabilityai/sdxl-turbo"}})
    assert (answer.status, answer.json()["code"]) == (400, "provider_unconfigured")


def test_11_the_demo_stands_in_for_a_model_when_nothing_is_configured_and_says_so() -> None:
    answer = Client()("POST", "/v1/generate", {"prompt": "x", "params": {"model": "stabilityai/sdxl-turbo"}})
    assert answer.status == 200
    assert [d["name"] for d in answer.json()["metadata"]["dropped_params"]] == ["model"]


def test_1_5_what_the_model_cannot_honour_is_named() -> None:
    client = with_bedrock()
    sent = {"prompt": "x", "params": {"steps": 20, "cfg": 5, "seed": 0, "width": 512, "height": 512}}
    metadata = client("POST", "/v1/generate", sent).json()["metadata"]
    assert {d["name"] for d in metadata["dropped_params"]} == {"steps", "cfg", "seed"}
    assert all(d["reason"] for d in metadata["dropped_params"])
    assert metadata["size"] == {"generated": "1024x1024", "returned": "512x512", "by": "reduced"}
    plain = client("POST", "/generate-image", {"prompt": "x"}).json()["metadata"]
    assert plain["dropped_params"] == []


def test_5_4_respond_async_answers_a_job() -> None:
    for path in ("/generate", "/generate-image", "/v1/generate"):
        client = Client()
        answer = client("POST", path, {"prompt": "x"}, {"Prefer": "wait=10, respond-async"})
        assert answer.status == 202
        body = answer.json()
        assert body["status"] == "queued"
        assert uuid.UUID(body["generation_id"])
        assert answer.headers["Location"] == f"/prod/unified/jobs/{body['generation_id']}"


def test_1_9_work_that_outlasts_the_gateway_becomes_a_job() -> None:
    client = with_bedrock(workers=FakeWorkers(busy=True))
    answer = client("POST", "/generate", {"prompt": "x"})
    assert answer.status == 202
    assert answer.headers["Location"].endswith(answer.json()["generation_id"])


def test_5_5_a_job_in_full() -> None:
    client = with_bedrock()
    job_id = client("POST", "/generate", {"prompt": "A fox", "format": "jpeg"}).json()["generation_id"]
    job = client("GET", f"/unified/jobs/{job_id}").json()
    assert job["status"] == "completed"
    assert (job["provider"], job["prompt"], job["project_id"], job["error"]) == ("bedrock", "A fox", "default", None)
    for moment in ("created_at", "started_at", "finished_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", job[moment])
    [image] = job["images"]
    assert image["local_url"] == f"/storage/images/default/bedrock/{image['id']}.jpg"
    assert client("GET", image["local_url"]).headers["Content-Type"] == "image/jpeg"
    assert client("GET", image["local_url"].replace("bedrock", "demo")).status == 404
    assert image["download_url"].startswith("https://")
    assert (image["width"], image["height"], image["format"]) == (1024, 1024, "jpeg")
    assert job["metadata"]["attempts"][0].keys() == {
        "provider",
        "model",
        "outcome",
        "error_code",
        "duration",
        "cost_usd",
    }
    assert job["metadata"]["cost_usd"] == 0.04


def test_5_5_cancelling() -> None:
    client = Client()
    job_id = client("POST", "/generate", {"prompt": "x"}, {"Prefer": "respond-async"}).json()["generation_id"]
    assert client("DELETE", f"/unified/jobs/{job_id}").json()["status"] == "cancelled"
    assert client("GET", f"/unified/jobs/{job_id}").json()["status"] == "cancelled"
    assert client("DELETE", f"/unified/jobs/{job_id}").status == 409
    assert client("DELETE", f"/unified/jobs/{uuid.uuid4()}").status == 404


def test_5_6_listing() -> None:
    client = Client()
    ids = []
    for _ in range(3):
        client.deps.clock.sleep(1)
        ids.append(client("POST", "/generate", {"prompt": "x"}).json()["generation_id"])
    page = client("GET", "/unified/jobs?limit=2").json()
    assert [j["generation_id"] for j in page["jobs"]] == ids[:0:-1]
    rest = client("GET", f"/unified/jobs?limit=2&cursor={page['next_cursor']}").json()
    assert [j["generation_id"] for j in rest["jobs"]] == ids[:1]
    assert rest["next_cursor"] is None


def test_a_page_of_jobs_is_no_larger_than_a_function_may_answer() -> None:
    """Long prompts of the longest characters, and links as long as those of a function's own credentials."""
    client = Client()
    client.deps.blobs.presign = lambda key: f"https://bucket.example/{key}?X-Amz-Security-Token={'t' * 1800}"  # type: ignore[method-assign]
    made = [
        client(
            "POST", "/unified/generate", {"prompt": "\U0001f98a" * 10_000, "n": 8, "optimize_prompt": False, "seed": n}
        )
        for n in range(100)
    ]
    assert {answer.status for answer in made} == {200}
    seen: list[str] = []
    cursor, pages = "", 0
    while cursor is not None:
        answer = client("GET", f"/unified/jobs?limit=100&cursor={cursor}")
        assert len(json.dumps(answer.body.decode(), ensure_ascii=False).encode()) < 6_000_000
        seen += [job["generation_id"] for job in answer.json()["jobs"]]
        cursor, pages = answer.json()["next_cursor"], pages + 1
    assert pages > 1
    assert seen == sorted((answer.json()["generation_id"] for answer in made), reverse=True)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "limit=x", "status=done", "from=yesterday", "nope=1", "from=2026-02-02&to=2026-02-01"],
)
def test_5_6_a_wrong_filter_is_400(query: str) -> None:
    answer = Client()("GET", f"/unified/jobs?{query}")
    assert (answer.status, answer.json()["code"]) == (400, "invalid_request")


def test_1_3_another_tenants_things_do_not_exist() -> None:
    """Contract 6.2, too: the stable link of another tenant."""
    client = Client()
    job_id = client("POST", "/generate", {"prompt": "x"}).json()["generation_id"]
    name = client("POST", "/generate-image", {"prompt": "x"}).json()["image_url"]
    other = Client(client.deps, identity={"tenant": "umbrella", "auth": "ok"})
    unknown = str(uuid.uuid4())
    for method, path, like in [
        ("GET", f"/unified/jobs/{job_id}", f"/unified/jobs/{unknown}"),
        ("DELETE", f"/unified/jobs/{job_id}", f"/unified/jobs/{unknown}"),
        ("GET", f"/download/{name}", "/download/im_0000000000000000.png"),
        ("GET", f"/files/{name}", "/files/im_0000000000000000.png"),
        ("GET", f"/storage/images/default/demo/{name}", "/storage/images/default/demo/im_0000000000000000.png"),
    ]:
        theirs, nobodys = other(method, path), other(method, like)
        assert theirs.status == nobodys.status == 404
        assert {**theirs.json(), "instance": 0} == {**nobodys.json(), "instance": 0}
    assert other("GET", "/unified/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    ("identity", "required", "status"),
    [
        ({"auth": "missing", "tenant": ""}, True, 401),
        ({"auth": "unknown", "tenant": ""}, True, 403),
        ({"auth": "unknown", "tenant": ""}, False, 403),
        ({"auth": "missing", "tenant": ""}, False, 200),
        ({}, True, 401),
        ({"auth": "ok", "tenant": "acme"}, True, 200),
    ],
)
def test_1_2_keys(identity: dict[str, str], required: bool, status: int) -> None:
    client = Client(settings=Settings(require_api_key=required), identity=identity)
    answer = client("GET", "/v1/models")
    assert answer.status == status
    assert answer.headers.get("WWW-Authenticate") == ("Bearer" if status == 401 else None)
    for path in ("/health", "/docs", "/openapi.json"):
        assert client("GET", path).status == 200


def test_1_2_a_missing_key_is_told_before_the_body_is_judged() -> None:
    client = Client(settings=Settings(require_api_key=True), identity={})
    assert client("POST", "/generate", b"{").status == 401


def test_1_4_a_problem_in_full() -> None:
    answer = Client()("POST", "/generate", {"prompt": "x", "widht": 3, "height": 7})
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body.keys() == {"type", "title", "status", "detail", "instance", "code", "errors"}
    assert (body["status"], body["instance"], body["code"]) == (400, "/generate", "invalid_request")
    assert {e["field"] for e in body["errors"]} == {"widht", "height"}
    assert all(e["message"] for e in body["errors"])


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": ""},
        {"prompt": "  \n"},
        {"prompt": "x" * 10_001},
        {"prompt": None},
        {"prompt": 7},
        {"prompt": "x", "width": 2056},
        {"prompt": "x", "width": 513},
        {"prompt": "x", "width": "512"},
        {"prompt": "x", "width": 512.5},
        {"prompt": "x", "width": True},
        {"prompt": "x", "steps": 0},
        {"prompt": "x", "steps": 1000},
        {"prompt": "x", "cfg": -1},
        {"prompt": "x", "cfg": 1000},
        {"prompt": "x", "seed": -1},
        {"prompt": "x", "seed": 2**64},
        {"prompt": "x", "model": "nobody/nothing"},
        {"prompt": "x", "format": "gif"},
        {"prompt": "x", "negative_prompt": "x" * 10_001},
        [],
        "prompt",
    ],
)
def test_1_4_400_for_what_is_invalid(body: object) -> None:
    for path in ("/generate", "/generate-image"):
        answer = Client()("POST", path, body)
        assert answer.status == 400, answer.body
    if isinstance(body, dict):
        wrapped = {"prompt": body.pop("prompt"), "params": body} if "negative_prompt" not in body else body
        assert Client()("POST", "/v1/generate", wrapped).status == 400


def test_1_4_a_prompt_of_10000_characters_is_taken() -> None:
    assert Client()("POST", "/generate", {"prompt": "ä" * 10_000}).status == 200


def test_1_4_json_is_json_also_under_curls_default_type() -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert Client()("POST", "/generate", {"prompt": "x"}, form).status == 200
    assert Client()("POST", "/generate", b"prompt=x", form).status == 415
    assert Client()("POST", "/generate", {"prompt": "x"}, {"Content-Type": "text/xml"}).status == 415
    assert (
        Client()("POST", "/generate", {"prompt": "x"}, {"Content-Type": "application/json; charset=utf-8"}).status
        == 200
    )


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (ProviderFailure(Failure.CONTENT_POLICY, "the prompt was refused"), 422, "content_policy"),
        (ProviderFailure(Failure.NOT_AUTHORIZED, "access denied"), 502, "providers_failed"),
        (ProviderFailure(Failure.TIMEOUT, "too slow", paid="unknown"), 504, "generation_timeout"),
        (ProviderFailure(Failure.OUTCOME_UNKNOWN, "reset", paid="unknown"), 502, "outcome_unknown"),
    ],
)
def test_1_4_a_failed_generation_is_an_error_and_a_job(failure: ProviderFailure, status: int, code: str) -> None:
    client = with_bedrock(failure)
    answer = client("POST", "/generate", {"prompt": "x"})
    assert (answer.status, answer.json()["code"]) == (status, code)
    [job] = client("GET", "/unified/jobs").json()["jobs"]
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert len(provider_of(client).orders) == 1


def test_1_6_idempotency_over_http() -> None:
    client = with_bedrock()
    key = {"Idempotency-Key": "order-1"}
    first = client("POST", "/generate", {"prompt": "x", "width": 512}, key)
    again = client("POST", "/generate", {"width": 512, "prompt": "x"}, key)
    assert (first.status, again.status) == (200, 200)
    assert first.json()["generation_id"] == again.json()["generation_id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert client("POST", "/generate", {"prompt": "y"}, key).status == 409
    assert client("POST", "/generate-image", {"prompt": "x"}, key).status == 409
    assert client("POST", "/generate", {"prompt": "x"}, {"Idempotency-Key": "a" * 256}).status == 400
    assert client("POST", "/generate", {"prompt": "x"}, {"Idempotency-Key": ""}).status == 400
    assert len(provider_of(client).orders) == 1


def test_1_7_the_request_id_stands_on_every_answer_and_on_the_job() -> None:
    client = Client()
    assert client("GET", "/nope").headers["X-Request-Id"] == "req-1"
    job_id = client("POST", "/generate", {"prompt": "x"}).json()["generation_id"]
    job = client.deps.jobs.get("acme", job_id)
    assert job and job.request_id == "req-1"


def test_1_1_cors() -> None:
    preflight = Client()("OPTIONS", "/generate", headers={"Origin": "https://a.example"})
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    client = Client(settings=Settings(cors_allow_origins=("https://a.example", "https://b.example")))
    assert (
        client("GET", "/health", headers={"Origin": "https://b.example"}).headers["Access-Control-Allow-Origin"]
        == "https://b.example"
    )
    assert (
        "Access-Control-Allow-Origin"
        not in client("GET", "/health", headers={"Origin": "https://evil.example"}).headers
    )


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/generate", "POST, OPTIONS"),
        ("PATCH", "/unified/jobs/1", "DELETE, GET, HEAD, OPTIONS"),
        ("POST", "/download/x.png", "GET, HEAD, OPTIONS"),
    ],
)
def test_12_1_a_method_that_a_route_lacks_is_405(method: str, path: str, allow: str) -> None:
    answer = Client()(method, path)
    assert (answer.status, answer.headers["Allow"]) == (405, allow)


def test_a_lost_object_is_404_and_a_broken_port_a_plain_500() -> None:
    client = Client()
    name = client("POST", "/generate-image", {"prompt": "x"}).json()["image_url"]
    client.deps.blobs.objects.clear()
    assert client("GET", f"/download/{name}").status == 404

    def broken(tenant: str, name: str) -> StoredImage:
        raise RuntimeError("table acme-secret-name is on fire")

    client.deps.jobs.find_image = broken  # type: ignore[method-assign]
    answer = client("GET", f"/download/{name}")
    assert (answer.status, answer.json()["code"]) == (500, "internal_error")
    assert b"fire" not in answer.body
    assert answer.headers["X-Request-Id"] == "req-1"

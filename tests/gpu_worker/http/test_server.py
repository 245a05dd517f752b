"""The worker's routes, in process."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from gpu_worker import contract
from gpu_worker.contract import NOT_EXACT, Refusal
from gpu_worker.engine.jobs import Done
from gpu_worker.engine.protocol import Painting
from gpu_worker.http import bodies, server
from gpu_worker.http.logs import JsonLines
from tests.gpu_worker.client import Answer, asked, payload
from tests.gpu_worker.conftest import MakeWorker
from tests.gpu_worker.fake_models import TURBO, FakeModels, pixels

PICTURE = base64.b64encode(b"a picture").decode()


@pytest.fixture
def client(make_worker: MakeWorker) -> TestClient:
    return TestClient(make_worker().app, raise_server_exceptions=False)


def post(client: TestClient, path: str = "/invocations", **changes: Any) -> Answer:
    return sent(client, json.dumps(payload(**changes)).encode(), path)


def sent(client: TestClient, body: Any, path: str = "/invocations", media_type: str = "application/json") -> Answer:
    response = client.post(path, content=body, headers={"Content-Type": media_type})
    return Answer(response.status_code, dict(response.headers), response.content)


def test_ping_is_200_while_work_is_taken(make_worker: MakeWorker) -> None:
    assert TestClient(make_worker(start=False).app).get("/ping").status_code == 503
    worker = make_worker()
    assert TestClient(worker.app).get("/ping").status_code == 200
    worker.leaving = True
    assert TestClient(worker.app).get("/ping").status_code == 503


def test_an_image(client: TestClient) -> None:
    answer = post(client, id="3f1c")
    said = answer.json
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert {name: said[name] for name in ("id", "model", "seed", "width", "height", "format")} == {
        "id": "3f1c",
        "model": TURBO,
        "seed": 7,
        "width": 256,
        "height": 256,
        "format": "png",
    }
    assert np.array_equal(answer.pixels, pixels(asked(), 4))
    assert set(said["timings"]) == {"queue", "paint", "encode", "load"}
    assert not set(said) & {"warnings", "mask", "confidence", "components", "at"}


@pytest.mark.parametrize("kind", contract.FORMATS)
def test_every_format_is_what_it_says(client: TestClient, kind: str) -> None:
    answer = post(client, format=kind, height=264)
    image = Image.open(io.BytesIO(base64.b64decode(answer.json["image"])))
    assert (image.format, image.size) == (kind.upper(), (256, 264))


def test_what_the_model_has_said_of_jpeg_is_said_once() -> None:
    done = Done(Painting(np.zeros((8, 8, 3), np.uint8), warnings=(NOT_EXACT, "more")), 0.0, 0.0)
    request = contract.PaintRequest("background", "1", "m", "", 0, 0, 1, "jpeg")
    assert server._encoded(request, done).warnings == (NOT_EXACT, "more")


@pytest.mark.parametrize(("kind", "warnings"), [("jpeg", ["a warning", NOT_EXACT]), ("webp", ["a warning"])])
def test_a_background_says_all_that_the_model_does(client: TestClient, kind: str, warnings: list[str]) -> None:
    answer = post(client, task="background", image=PICTURE, format=kind)
    said = answer.json
    assert (said["seed"], said["confidence"], said["warnings"]) == (8, 0.75, warnings)
    assert (said["components"], said["at"]) == ({"mask_certainty": None, "area": 0.5}, [3, -2])
    mask = Image.open(io.BytesIO(base64.b64decode(said["mask"])))
    assert (mask.format, mask.size, mask.mode) == ("PNG", (256, 256), "L")
    assert np.array_equal(answer.pixels, pixels(asked(), 4)) == (kind == "webp"), "exact unless it is a JPEG"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"model": "none"}, 400, "unknown_model"),
        ({"prompt": "shapeless"}, 400, "invalid_request"),
        ({"prompt": "refused"}, 422, "content_policy"),
        ({"prompt": "break"}, 500, "failed"),
        ({"width": 100}, 400, "invalid_request"),
        ({"task": "image-to-image", "image": "!"}, 400, "invalid_request"),
        ({"padding": 3}, 400, "invalid_request"),
    ],
)
def test_a_refusal_is_the_contract_s(client: TestClient, changes: dict[str, Any], status: int, code: str) -> None:
    answer = post(client, **changes)
    assert (answer.status, answer.error) == (status, code)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xff\xfe",
        b"9" * 10_000,
        b'{"task": {}}',
        b'{"task": "purge", "model_id": 7}',
        b'{"task": "purge", "model_id": ""}',
        b'{"task": "purge", "what": 1}',
    ],
)
def test_hostile_bodies_are_refused(client: TestClient, models: FakeModels, body: bytes) -> None:
    answer = sent(client, body)
    assert (answer.status, answer.error) == (400, "invalid_request")
    assert models.batches == []
    assert models.loaded() == [TURBO]


def test_lone_surrogates_and_controls_pass_through_as_text(client: TestClient) -> None:
    answer = post(client, id="\ud800\x00", prompt="\udfff")
    assert (answer.status, answer.json["id"]) == (200, "\ud800\x00")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "image/png", ""])
def test_only_json_is_read(client: TestClient, media_type: str) -> None:
    assert sent(client, json.dumps(payload()), media_type=media_type).error == "invalid_request"


def test_json_of_any_charset_is_read(client: TestClient) -> None:
    assert sent(client, json.dumps(payload()), media_type="Application/JSON; charset=utf-8").status == 200


def test_a_body_that_says_it_is_too_large_is_not_kept(client: TestClient) -> None:
    answer = sent(client, bytes(contract.MAX_BODY + 1))
    assert (answer.status, answer.error) == (413, "too_large")


def test_a_body_that_grows_too_large_is_not_kept(client: TestClient) -> None:
    """Sent in parts, without a length."""
    read = 0

    def parts() -> Any:
        nonlocal read
        for _ in range(100):
            read += 1_000_000
            yield bytes(1_000_000)

    answer = sent(client, parts())
    assert (answer.status, answer.error) == (413, "too_large")


class Receive:
    """What an ASGI server gives, then silence."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.headers: dict[str, str] = {}
        self.messages = list(messages)

    async def receive(self) -> dict[str, Any]:
        if not self.messages:
            await asyncio.Event().wait()
        return self.messages.pop(0)


PART = {"type": "http.request", "body": b"x" * 1000, "more_body": True}


def test_a_body_that_never_ends_is_refused() -> None:
    body = bodies.Body(Receive(PART))  # type: ignore[arg-type]
    with pytest.raises(Refusal, match="in time"):
        asyncio.run(body.read(10_000, seconds=0.01))


def test_of_a_body_that_is_too_large_no_more_is_read() -> None:
    endless = Receive(*[PART] * 100)
    with pytest.raises(Refusal, match="10000 bytes"):
        asyncio.run(bodies.Body(endless).read(10_000))  # type: ignore[arg-type]
    assert len(endless.messages) == 89


def test_of_a_body_that_says_it_is_too_large_nothing_is_read() -> None:
    silent = Receive()
    silent.headers["content-length"] = "10001"
    with pytest.raises(Refusal, match="10000 bytes"):
        asyncio.run(bodies.Body(silent).read(10_000))  # type: ignore[arg-type]


def test_a_client_that_goes_while_it_sends_is_let_go() -> None:
    body = bodies.Body(Receive(PART, {"type": "http.disconnect"}))  # type: ignore[arg-type]
    with pytest.raises(bodies.ClientGone):
        asyncio.run(body.read(10_000))


def test_nothing_new_is_taken_when_leaving(make_worker: MakeWorker) -> None:
    worker = make_worker()
    worker.leaving = True
    client = TestClient(worker.app)
    for path in ("/invocations", "/models/purge"):
        answer = post(client, path)
        assert (answer.status, answer.error, answer.json["error"]["retry_after"]) == (503, "busy", 30)
        assert answer.headers["retry-after"] == "30"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("GET", "/invocations", 405), ("POST", "/ping", 405)]
)
def test_other_routes_are_refused_in_json(client: TestClient, method: str, path: str, status: int) -> None:
    response = client.request(method, path)
    assert (response.status_code, response.json()["error"]["code"]) == (status, "invalid_request")
    assert ("allow" in response.headers) == (status == 405)


def test_models_are_listed(client: TestClient) -> None:
    said = client.get("/models").json()
    assert [model["id"] for model in said["data"]] == [TURBO, "other", "third"]
    assert said["loaded"] == [TURBO]


def test_purge_by_its_own_path_and_by_invocations(client: TestClient) -> None:
    post(client, model="other")
    assert sent(client, b'{"model_id": "other"}', "/models/purge").json == {
        "model_id": "other",
        "removed": ["other"],
        "remaining": [TURBO],
    }
    post(client, model="other")
    assert sent(client, b'{"task": "purge"}').json == {"model_id": None, "removed": [TURBO, "other"], "remaining": []}
    post(client)
    assert sent(client, b"", "/models/purge").json == {"model_id": None, "removed": [TURBO], "remaining": []}
    assert sent(client, b'{"model": "x"}', "/models/purge").error == "invalid_request"
    assert sent(client, b" " * 5000, "/models/purge").status == 413


@pytest.mark.parametrize("path", ["/invocations", "/models/purge"])
def test_a_purge_that_fails_is_a_clean_500(
    path: str, client: TestClient, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    def purge(_: object) -> None:
        raise RuntimeError("an internal matter")

    monkeypatch.setattr(models, "purge", purge)
    answer = sent(client, b'{"task": "purge"}', path)
    assert (answer.status, answer.error) == (500, "failed")
    assert "internal matter" not in answer.body.decode()


def test_metrics_have_the_names_of_the_dashboards(client: TestClient) -> None:
    post(client)
    post(client, task="background", image=PICTURE)
    post(client, prompt="refused", model=f"{TURBO}+nobody knows:0.123")
    post(client, task="background", image=PICTURE, model=f"{TURBO}+nobody knows:0.8")
    post(client, model="a model that nobody knows")
    response = client.get("/metrics")
    text = response.text
    assert response.headers["content-type"].startswith("text/plain")
    for line in [
        f'ai_bg_predictions_total{{model="{TURBO}",status="success",task="text-to-image"}} 1.0',
        f'ai_bg_predictions_total{{model="{TURBO}",status="error",task="text-to-image"}} 1.0',
        f'ai_bg_inference_duration_seconds_count{{model="{TURBO}",task="background"}} 2.0',
        f'ai_bg_prediction_confidence_sum{{model="{TURBO}"}} 1.5',
        f'ai_bg_model_loaded{{model="{TURBO}"}} 1.0',
        'ai_bg_model_loaded{model="other"} 0.0',
        'gpu_worker_refusals_total{code="unknown_model"} 1.0',
        "gpu_worker_queue_depth 0.0",
        "gpu_worker_requests_inside 0.0",
        "gpu_worker_padding_total 12.0",
    ]:
        assert line in text.splitlines(), line
    assert f'ai_bg_model_load_time_seconds{{model="{TURBO}"}}' in text
    assert "nobody knows" not in text, "no label is a client's to choose"


def test_neither_answers_nor_logs_tell_what_was_asked(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    """The fake's error quotes the prompts of its batch, as those of tokenizers do."""
    caplog.set_level(logging.DEBUG, logger="gpu_worker")
    answers = [post(client, id=f"id-{n}", prompt=prompt) for n, prompt in enumerate(["break", "my secret wish"])]
    answers.append(post(client, format="my secret wish"))
    assert [answer.status for answer in answers] == [500, 200, 400]
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records]
    everything = json.dumps(lines) + "".join(answer.body.decode() for answer in answers)
    assert "secret" not in everything
    assert "cannot paint" not in everything
    assert "Traceback" not in everything
    (failed,) = [line for line in lines if line["message"] == "painting failed"]
    assert (failed["error"], failed["ids"], failed["level"]) == ("RuntimeError", ["id-0"], "ERROR")
    assert any("models.py" in place for place in failed["at"])
    requests = [line for line in lines if line["message"] == "request"]
    assert [(line.get("id"), line["status"]) for line in requests] == [("id-0", 500), ("id-1", 200), (None, 400)]
    assert set(requests[1]) >= {"task", "model", "width", "height", "queue", "paint", "encode", "seconds"}


def test_what_breaks_in_the_server_is_a_clean_500(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> bytes:
        raise OSError("my secret wish cannot be written")

    monkeypatch.setattr("gpu_worker.http.server.encode", broken)
    answer = post(client, prompt="my secret wish")
    assert (answer.status, answer.error) == (500, "failed")
    assert "secret" not in answer.body.decode() + "".join(JsonLines().format(record) for record in caplog.records)

"""The local stack with the strict Bedrock double."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from local.stack import Stack
from tests.doubles.bedrock.service import FakeBedrock
from tests.e2e import http
from tests.e2e.conftest import make_stack
from tests.e2e.http import Client
from tests.e2e.test_contract import ended

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def bedrock() -> Iterator[FakeBedrock]:
    with FakeBedrock() as fake:
        yield fake


@pytest.fixture(scope="module")
def stack(bedrock: FakeBedrock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with make_stack(tmp_path_factory.mktemp("bedrock"), AWS_ENDPOINT_URL_BEDROCK_RUNTIME=bedrock.url) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.url) as client:
        yield client


def paid(bedrock: FakeBedrock) -> int:
    return len(bedrock.paid)


def test_an_exact_size_from_an_aspect_ratio(client: Client, bedrock: FakeBedrock) -> None:
    before = paid(bedrock)
    answer = client.post("/generate", json={"prompt": "A fox", "width": 800, "height": 448, "seed": 5, "steps": 20})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert answer.headers["x-image-provider"] == "bedrock"
    image = Image.open(io.BytesIO(http.get(body["image_url"]).content))
    assert (image.size, image.format) == ((800, 448), "PNG")
    assert body["metadata"]["size"]["generated"] == "1344x768"
    assert body["metadata"]["dropped_params"][0]["name"] == "steps"
    assert body["metadata"]["cost_usd"] == 0.04
    assert paid(bedrock) == before + 1
    assert bedrock.calls[-1].body["aspect_ratio"] == "16:9"
    assert bedrock.calls[-1].seed == 5


@pytest.mark.parametrize(("fault", "status", "code"), [("moderated prompt", 422, "content_policy")])
def test_a_refusal_is_one_call(client: Client, bedrock: FakeBedrock, fault: str, status: int, code: str) -> None:
    bedrock.inject(fault.replace(" ", "_"))
    before = len(bedrock.calls)
    answer = client.post("/generate", json={"prompt": "something bad"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert len(bedrock.calls) == before + 1


def test_throttling_is_waited_out(client: Client, bedrock: FakeBedrock) -> None:
    bedrock.inject("throttle", times=2)
    answer = client.post("/generate", json={"prompt": "busy"})
    assert answer.status_code == 200
    outcomes = [a["error_code"] for a in answer.json()["metadata"]["attempts"]]
    assert outcomes == ["throttled", "throttled", None]


def test_one_key_pays_once(client: Client, bedrock: FakeBedrock) -> None:
    before = paid(bedrock)
    for _ in range(3):
        assert (
            client.post("/generate", json={"prompt": "once"}, headers={"Idempotency-Key": "pay-once"}).status_code
            == 200
        )
    assert paid(bedrock) == before + 1


def test_work_that_outlasts_the_gateway_is_not_lost(client: Client, bedrock: FakeBedrock) -> None:
    bedrock.inject("slow", seconds=32)
    before = paid(bedrock)
    answer = client.post("/generate", json={"prompt": "slow"})
    assert answer.status_code == 202
    job = ended(client, answer.json()["generation_id"])
    assert (job["status"], len(job["images"])) == ("completed", 1)
    assert paid(bedrock) == before + 1


def test_a_worker_killed_during_a_paid_call(stack: Stack, client: Client, bedrock: FakeBedrock) -> None:
    bedrock.inject("hang")
    before = len(bedrock.calls)
    accepted = client.post("/generate", json={"prompt": "killed"}, headers={"Prefer": "respond-async"})
    until = time.monotonic() + 20
    while len(bedrock.calls) == before and time.monotonic() < until:
        if client.get(accepted.headers["location"]).json()["metadata"]["attempts"]:
            break
        time.sleep(0.1)
    time.sleep(1)
    for pid in stack.function_pids("worker"):
        os.kill(pid, signal.SIGKILL)
    job = ended(client, accepted.json()["generation_id"], 90)
    assert (job["status"], job["error"]["code"]) == ("failed", "outcome_unknown")
    assert [a["outcome"] for a in job["metadata"]["attempts"]] == ["unknown"]
    time.sleep(2)
    assert len(bedrock.calls) <= before + 1


def test_the_generation_timeout_is_504(bedrock: FakeBedrock, tmp_path: Path) -> None:
    with make_stack(tmp_path, AWS_ENDPOINT_URL_BEDROCK_RUNTIME=bedrock.url, GENERATION_TIMEOUT_SECONDS="2") as stack:
        bedrock.inject("hang")
        answer = http.post(f"{stack.url}/generate", json={"prompt": "x"}, timeout=60)
        assert (answer.status_code, answer.json()["code"]) == (504, "generation_timeout")

"""Every provider on the local stack: each alone, and each failing while others are available."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from tests.doubles import comfyui, gemini, gpu, leonardo, runware
from tests.doubles.bedrock.service import FakeBedrock
from tests.doubles.service import FakeService
from tests.e2e import http
from tests.e2e.conftest import make_stack
from tests.e2e.http import Client

pytestmark = pytest.mark.e2e
Double = FakeBedrock | FakeService
House = tuple[Client, dict[str, Double]]

DOUBLES: dict[str, tuple[Callable[[], Any], Callable[[str], dict[str, str]]]] = {
    "bedrock": (FakeBedrock, lambda url: {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url}),
    "leonardo_ai": (
        leonardo.FakeLeonardo,
        lambda url: {"LEONARDO_API_KEY": leonardo.KEY, "LEONARDO_BASE_URL": f"{url}/api/rest"},
    ),
    "runware_ai": (
        runware.FakeRunware,
        lambda url: {"RUNWARE_API_KEY": runware.KEY, "RUNWARE_BASE_URL": f"{url}/v1"},
    ),
    "gemini": (gemini.FakeGemini, lambda url: {"GEMINI_API_KEY": gemini.KEY, "GEMINI_BASE_URL": f"{url}/v1beta"}),
    "comfyui": (comfyui.FakeComfyUI, lambda url: {"COMFYUI_URL": url}),
    "sagemaker": (gpu.FakeGpu, lambda url: {"GPU_WORKER_URL": url}),
}


def settings_of(doubles: Mapping[str, Double]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, double in doubles.items():
        found |= DOUBLES[name][1](double.url)
    return found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A stack with all six providers; their ledgers by name."""
    with ExitStack() as stack:
        doubles = {name: stack.enter_context(kind()) for name, (kind, _) in DOUBLES.items()}
        running = stack.enter_context(make_stack(tmp_path_factory.mktemp("house"), **settings_of(doubles)))
        client = stack.enter_context(Client(running.url, timeout=90))
        yield client, doubles


def check(answer: requests.Response, provider: str) -> Any:
    assert answer.status_code == 200, answer.text[:600]
    body = answer.json()
    assert body["provider"] == provider
    [image] = body["images"]
    picture = Image.open(io.BytesIO(http.get(image["download_url"]).content))
    assert picture.size == (image["width"], image["height"])
    return body


@pytest.mark.parametrize("name", DOUBLES)
def test_each_provider_by_name_gives_the_image(house: House, name: str) -> None:
    client, doubles = house
    before = len(doubles[name].paid)
    body = {"prompt": f"A fox by {name}", "provider": name, "seed": 11, "width": 640, "height": 512, "fallback": False}
    made = check(client.post("/unified/generate", json=body), name)
    assert (made["images"][0]["width"], made["images"][0]["height"]) == (640, 512)
    assert [(a["provider"], a["outcome"]) for a in made["metadata"]["attempts"]] == [(name, "success")]
    assert len(doubles[name].paid) == before + 1


@pytest.mark.parametrize("name", DOUBLES)
def test_one_provider_alone_is_enough(name: str, tmp_path: Path) -> None:
    with DOUBLES[name][0]() as double, make_stack(tmp_path, **DOUBLES[name][1](double.url)) as stack:
        answer = http.post(f"{stack.url}/unified/generate", json={"prompt": "A fox"})
        check(answer, name)
        listed = http.get(f"{stack.url}/unified/providers").json()["providers"]
        assert [p["id"] for p in listed if p["configured"]] == [name]


FAULTS = ["throttle", "reset", "lost_response", "truncated_image", "html"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [(name, fault) for name in ("runware_ai", "leonardo_ai", "gemini") for fault in FAULTS],
)
def test_a_fault_of_the_first_is_cured_by_another_and_told(house: House, name: str, fault: str) -> None:
    client, doubles = house
    double = doubles[name]
    before = {n: len(d.paid) for n, d in doubles.items()}
    double.inject(fault, times=None)
    try:
        answer = client.post("/unified/generate", json={"prompt": "A fox", "provider": name})
    finally:
        double.clear()
    assert answer.status_code == 200, answer.text[:500]
    body = answer.json()
    attempts = body["metadata"]["attempts"]
    assert attempts[-1]["outcome"] == "success"
    assert attempts[0]["provider"] == name
    if body["provider"] != name:  # our own id may find what a lost answer hid
        assert [d["name"] for d in body["metadata"]["dropped_params"]] == ["provider"]
    for other, count in before.items():
        asked = [a for a in attempts if a["provider"] == other]
        paid = len(doubles[other].paid) - count
        assert paid <= len(asked)
        told = sum(1 for a in asked if a["outcome"] in ("success", "unknown") or a["error_code"] == "bad_answer")
        assert paid <= told, (other, attempts)
    well = client.post("/unified/generate", json={"prompt": "A fox", "provider": name, "fallback": False})
    assert well.status_code == 200, well.text[:500]  # which also ends its row of failures


def test_a_policy_refusal_is_one_call_to_one_provider(house: House) -> None:
    client, doubles = house
    for name, fault in (("runware_ai", "moderated"), ("leonardo_ai", "moderated"), ("bedrock", "moderated_prompt")):
        before = {n: len(d.calls) for n, d in doubles.items()}
        doubles[name].inject(fault)
        answer = client.post("/unified/generate", json={"prompt": "something bad", "provider": name})
        assert (answer.status_code, answer.json()["code"]) == (422, "content_policy")
        assert {n: len(d.calls) - before[n] for n, d in doubles.items()} == {n: int(n == name) for n in doubles}


def test_a_batch_over_all_providers(house: House) -> None:
    client, _ = house
    items = [{"prompt": f"Nr. {i}", "provider": name, "width": 512, "height": 512} for i, name in enumerate(DOUBLES)]
    batch = client.post("/unified/generate/batch", json={"requests": [*items, {"prompt": ""}]}).json()
    until = time.monotonic() + 60
    while time.monotonic() < until:
        state = client.get(f"/unified/batches/{batch['batch_id']}").json()
        if state["status"] == "completed":
            break
        time.sleep(0.5)
    assert state["counts"] == {"completed": len(DOUBLES), "failed": 1}


def test_a_reference_image_goes_where_it_is_taken(house: House) -> None:
    import base64

    client, doubles = house
    out = io.BytesIO()
    Image.new("RGB", (256, 256), "teal").save(out, "PNG")
    reference = base64.b64encode(out.getvalue()).decode()
    answer = client.post("/unified/generate", json={"prompt": "as a painting", "reference_image": reference})
    assert answer.status_code == 200, answer.text[:500]
    assert answer.json()["provider"] in DOUBLES
    body = {"prompt": "x", "reference_image": reference, "fallback": False}
    made = check(client.post("/unified/generate", json={**body, "provider": "bedrock"}), "bedrock")
    assert made["metadata"]["provider_model"] == "stability.sd3-5-large-v1:0"
    assert doubles["bedrock"].calls[-1].body["mode"] == "image-to-image"
    refused = client.post("/unified/generate", json={**body, "model": "stability.stable-image-core-v1:1"})
    assert refused.status_code == 400

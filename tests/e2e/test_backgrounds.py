"""Product backgrounds on the local stack: by the demo and the doubles of the GPU worker and Bedrock; the purge."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from PIL import Image

from tests.doubles.bedrock.service import FakeBedrock
from tests.doubles.gpu import SCENES, FakeGpu
from tests.e2e import http
from tests.e2e.conftest import make_stack
from tests.e2e.http import Client
from tests.gpu_worker.background.products import Product, draw

pytestmark = pytest.mark.e2e
KEYS = {"REQUIRE_API_KEY": "0", "API_KEYS": "acme:key-of-acme"}
KEY = {"X-API-Key": "key-of-acme"}
House = tuple[Client, FakeGpu]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A stack with the GPU's double, and its client."""
    with ExitStack() as stack:
        gpu = stack.enter_context(FakeGpu())
        running = stack.enter_context(make_stack(tmp_path_factory.mktemp("gpu"), GPU_WORKER_URL=gpu.url, **KEYS))
        client = stack.enter_context(Client(running.url, timeout=90))
        yield client, gpu


def fetched(url: str) -> Image.Image:
    answer = http.get(url)
    assert answer.status_code == 200
    return Image.open(io.BytesIO(answer.content))


def check(body: dict[str, Any], product: Product, size: tuple[int, int] | None = None) -> None:
    """A background of the product with its own framing, or moved within `size`: no opaque pixel differs."""
    assert body["status"] == "success"
    assert 0 <= body["confidence"] <= 1
    check_pixels(fetched(body["image_url"]), fetched(body["mask_url"]), product, size)


def check_pixels(
    picture: Image.Image, cutout: Image.Image, product: Product, size: tuple[int, int] | None = None
) -> None:
    """The same of the pictures themselves; `size` is height and width."""
    image, mask = np.asarray(picture.convert("RGB")), np.asarray(cutout)
    assert image.shape[:2] == mask.shape == (size or product.coverage.shape)
    ys, xs = np.nonzero(mask == 255)
    assert len(ys) > 200
    down = across = 0
    if size:
        shown = np.argwhere(np.round(product.coverage * 255) > 0).min(axis=0)
        down, across = np.argwhere(mask > 0).min(axis=0) - shown
    assert np.array_equal(image[ys, xs], product.rgb[ys - down, xs - across])


def by_form(
    client: Client,
    product: Product,
    alpha: bool = True,
    path: str = "/generate",
    headers: dict[str, str] | None = None,
    **fields: str,
) -> requests.Response:
    files = {"file": ("product.png", product.file(alpha), "image/png")}
    return client.post(path, data=fields, files=files, headers=headers or {})


def ended(client: Client, accepted: requests.Response) -> Any:
    """The job of a 202, when it has ended."""
    assert accepted.status_code == 202, accepted.text
    until = time.monotonic() + 120
    while True:
        job = client.get(accepted.headers["Location"]).json()
        if job["status"] not in ("queued", "running") or time.monotonic() > until:
            return job
        time.sleep(0.1)


def test_by_the_demo(client: Client) -> None:
    for seed in range(3):
        for alpha in (True, False):
            answer = by_form(client, draw(seed), alpha, prompt="on a rock by the sea", seed="7")
            assert answer.status_code == 200, answer.text
            assert answer.headers["X-Image-Provider"] == "demo"
            check(answer.json(), draw(seed))
    image = base64.b64encode(draw(0).file(True)).decode()
    sized = {"image": image, "width": 320, "height": 256}
    check(client.post("/v1/backgrounds", json=sized).json(), draw(0), (256, 320))
    check(client.post("/generate", json=sized | {"task": "background"}).json(), draw(0), (256, 320))


def test_by_the_gpu_in_every_way_that_it_can_be_asked(house: House) -> None:
    client, gpu = house
    for seed in range(6):
        for alpha in (True, False):
            answer = by_form(client, draw(seed), alpha, path=("/generate", "/v1/backgrounds")[seed % 2])
            assert answer.status_code == 200, answer.text
            assert answer.headers["X-Image-Provider"] == "sagemaker"
            check(answer.json(), draw(seed))
    assert {call.model for call in gpu.works} == {SCENES}
    sized = by_form(client, draw(0), prompt="a beach", width="320", height="256", padding="4", format="webp")
    check(sized.json(), draw(0), (256, 320))
    assert fetched(sized.json()["image_url"]).format == "WEBP"
    small = by_form(client, draw(0), alpha=False, width="64", height="64")
    assert (small.status_code, "never scaled" in small.json()["detail"]) == (400, True)


def test_as_a_job_and_under_a_key_that_is_used_twice(house: House) -> None:
    client, _ = house
    headers = {"Prefer": "respond-async", "Idempotency-Key": "once"}
    first = by_form(client, draw(1), headers=headers, seed="5")
    again = by_form(client, draw(1), headers=headers, seed="5")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["generation_id"] == first.json()["generation_id"]
    job = ended(client, first)
    assert (job["status"], job["provider"]) == ("completed", "sagemaker")
    [image] = job["images"]
    check({"status": "success", "image_url": image["url"], **image}, draw(1))


def test_the_purge_and_its_key(house: House) -> None:
    client, gpu = house
    assert by_form(client, draw(0)).status_code == 200
    assert client.post("/v1/models/purge", json={}).status_code == 401
    assert client.post("/v1/models/purge", json={}, headers={"X-API-Key": "none"}).status_code == 403
    gpu.loaded = ["a/b", SCENES]
    one = client.post("/v1/models/purge", json={"model_id": SCENES}, headers=KEY)
    assert (one.status_code, one.json()) == (200, {"model_id": SCENES, "removed": [SCENES], "remaining": ["a/b"]})
    rest = client.post("/v1/models/purge", headers=KEY)
    assert rest.json() == {"model_id": None, "removed": ["a/b"], "remaining": []}


def test_by_bedrock_where_there_is_no_gpu(tmp_path: Path) -> None:
    with ExitStack() as stack:
        bedrock = stack.enter_context(FakeBedrock())
        running = stack.enter_context(make_stack(tmp_path, AWS_ENDPOINT_URL_BEDROCK_RUNTIME=bedrock.url))
        client = stack.enter_context(Client(running.url, timeout=90))
        for alpha, calls in ((True, 1), (False, 2)):
            answer = by_form(client, draw(2, 320, 240), alpha)
            assert answer.status_code == 200, answer.text
            check(answer.json(), draw(2, 320, 240))
            attempts = answer.json()["metadata"]["attempts"]
            assert [a["cost_usd"] for a in attempts] == [0.07] * calls
        assert len(bedrock.paid) == 3

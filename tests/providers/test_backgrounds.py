"""The requests to Bedrock's editing services and the GPU worker for backgrounds, and the worker's purge."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace

import pytest

from lambdas.domain import catalogue
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.request import ImageTask
from lambdas.domain.ports.providers import ModelCache, Purged
from lambdas.providers import bedrock, sagemaker
from lambdas.settings import Settings
from tests.doubles.gpu import ENDPOINT, SCENES, FakeGpu
from tests.gpu_worker.background.products import draw

ID = "3f1c9a52-0c55-4b7e-9d2e-1f4d7a3b9c10"
PHOTO = draw(0).file(alpha=True)


def _order(model: str) -> ImageTask:
    card = catalogue.card(model)
    assert card
    return ImageTask(card, "a beach", 7, (0, 0), id=ID, task="background", reference=PHOTO, reference_type="image/png")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_service_that_cuts_out_gets_the_picture_alone() -> None:
    order = _order("us.stability.stable-image-remove-background-v1:0")
    assert bedrock.to_payload(order) == {"image": _text(PHOTO), "output_format": "png"}


def test_a_service_that_paints_gets_the_mask_too() -> None:
    order = replace(_order("us.stability.stable-image-inpaint-v1:0"), mask=b"m", negative_prompt="birds")
    assert bedrock.to_payload(order) == {
        "prompt": "a beach",
        "negative_prompt": "birds",
        "seed": 7,
        "output_format": "png",
        "image": _text(PHOTO),
        "mask": _text(b"m"),
    }


def test_the_worker_gets_the_photo_as_it_is() -> None:
    sent = sagemaker.to_payload(_order(SCENES))
    assert sent == {
        "task": "background",
        "id": ID,
        "model": SCENES,
        "prompt": "a beach",
        "seed": 7,
        "format": "png",
        "image": _text(PHOTO),
    }
    sized = sagemaker.to_payload(replace(_order(SCENES), generate=(640, 512), padding=9))
    assert sized == sent | {"width": 640, "height": 512, "padding": 9}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGpu]:
    with FakeGpu() as fake:
        for name, value in {
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": fake.url,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.mark.parametrize("way", ["worker", "endpoint"])
def test_a_purge_on_either_way(way: str, fake: FakeGpu) -> None:
    settings = Settings(gpu_worker_url=fake.url) if way == "worker" else Settings(sagemaker_endpoint=ENDPOINT)
    provider = sagemaker.build(settings)
    assert isinstance(provider, ModelCache)
    fake.loaded = ["a/b", "c/d"]
    assert provider.purge("a/b", 10) == Purged(("a/b",), ("c/d",))
    assert provider.purge(None, 10) == Purged(("c/d",), ())
    fake.inject("busy", at="ask")
    with pytest.raises(ProviderFailure) as caught:
        provider.purge(None, 10)
    assert (caught.value.code, caught.value.retry_after) == ("unavailable", 3)


def test_through_a_queue_there_is_no_purge() -> None:
    queue = sagemaker.build(Settings(sagemaker_endpoint=ENDPOINT, sagemaker_async=True, images_bucket="b"))
    assert not isinstance(queue, ModelCache)


@pytest.mark.parametrize("way", ["worker", "endpoint"])
def test_a_background_on_either_way(way: str, fake: FakeGpu) -> None:
    settings = Settings(gpu_worker_url=fake.url) if way == "worker" else Settings(sagemaker_endpoint=ENDPOINT)
    provider = sagemaker.build(settings)
    painted = provider.paint(_order(SCENES), 20)  # type: ignore[union-attr]
    assert painted.mask
    assert 0 < (painted.confidence or 0) <= 1
    assert painted.seed == 7

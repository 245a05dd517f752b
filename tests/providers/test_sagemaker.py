"""The GPU worker by each of its three ways: requests, the reading of answers, and one call after any fault."""

from __future__ import annotations

import base64
import json
import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_args

import boto3
import pytest
from moto import mock_aws

from lambdas.domain import catalogue, ids
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.request import MAX_SEED, Format, GeneratedImage, ImageTask, Ticket
from lambdas.domain.ports.providers import Provider, TicketProvider
from lambdas.providers import sagemaker
from lambdas.providers.sagemaker import (
    to_aws_failure,
    to_failure,
    to_image,
    to_lost,
    to_payload,
)
from lambdas.settings import Settings
from tests.doubles.gpu import ENDPOINT, FakeGpu
from tests.doubles.service import paint

TURBO = catalogue.cards_of("sagemaker")[0]
ID = "3f1c9a52-0c55-4b7e-9d2e-1f4d7a3b9c10"
ORDER = ImageTask(TURBO, "a cat", 7, (512, 512), id=ID)
PICTURE = paint("a sketch", (64, 48))
BUCKET = "the-bucket"
REAL_TIME = Settings(sagemaker_endpoint=ENDPOINT)
ASYNC = Settings(sagemaker_endpoint=ENDPOINT, sagemaker_async=True, images_bucket=BUCKET)


def test_payload() -> None:
    assert to_payload(ORDER) == {
        "task": "text-to-image",
        "id": ID,
        "model": "stabilityai/sdxl-turbo",
        "prompt": "a cat",
        "width": 512,
        "height": 512,
        "seed": 7,
        "format": "png",
    }


def test_payload_with_everything() -> None:
    order = replace(
        ORDER,
        generate=(768, 512),
        negative_prompt="dogs",
        steps=4,
        cfg=0.0,
        format="webp",
        reference=b"\x00\x01",
        reference_type="image/png",
    )
    assert to_payload(order) == {
        "task": "image-to-image",
        "id": ID,
        "model": "stabilityai/sdxl-turbo",
        "prompt": "a cat",
        "negative_prompt": "dogs",
        "width": 768,
        "height": 512,
        "steps": 4,
        "guidance": 0.0,
        "seed": 7,
        "format": "webp",
        "image": "AAE=",
    }


def test_the_way_is_the_settings() -> None:
    assert isinstance(sagemaker.build(replace(ASYNC, gpu_worker_url="http://127.0.0.1:8080")), sagemaker.Worker)
    assert isinstance(sagemaker.build(REAL_TIME), sagemaker.Endpoint)
    assert isinstance(sagemaker.build(ASYNC), TicketProvider)
    assert not isinstance(sagemaker.build(REAL_TIME), TicketProvider)


# The worker's own faults, met on every way; of the second, what they are behind SageMaker where that differs.
OUTCOMES = {
    "invalid": "invalid_request",
    "gone": "model_gone",
    "too_large": "invalid_request",
    "moderated": "content_policy",
    "failed_job": "failed",
    "busy": "unavailable",
    "busy_plain": "unavailable",
    "timeout": "timeout",
    "crash": "failed",
    "bad_gateway": "unavailable",
    "wrong_id": "bad_answer",
    "wrong_base64": "bad_answer",
    "truncated_json": "bad_answer",
    "list": "bad_answer",
    "deep": "bad_answer",
    "empty_image": "bad_answer",
    "huge_image": "bad_answer",
}
WIRE = {
    "hang": "timeout",
    "drip": "timeout",
    "drip_headers": "timeout",
    "reset": "unavailable",
    "lost_response": "unavailable",
    "reset_body": "unavailable",
    "short_body": "unavailable",
}
AWS = {
    "aws_throttle": "throttled",
    "aws_not_ready": "unavailable",
    "aws_unavailable": "unavailable",
    "aws_dependency": "unavailable",
    "aws_internal": "failed",
    "aws_no_endpoint": "model_gone",
    "aws_no_capacity": "unavailable",
    "aws_validation": "invalid_request",
    "aws_denied": "not_authorized",
    "aws_expired": "not_authorized",
    "aws_time": "timeout",
}
BEHIND = {**OUTCOMES, "bad_gateway": "failed"}  # a page of the container's own comes wrapped in SageMaker's error
# A slow answer is none, and a picture is checked later.
ANSWERED = {"slow", "truncated_image", "wrong_size", "html"}


@pytest.fixture(scope="module")
def _fake() -> Iterator[FakeGpu]:
    with FakeGpu(bucket=BUCKET) as fake:
        yield fake


@pytest.fixture
def fake(_fake: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> FakeGpu:
    _fake.clear()
    _fake.calls.clear()
    _fake.seconds = 0.0
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", _fake.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return _fake


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with mock_aws():
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture(scope="module")
def endpoint() -> sagemaker.Endpoint:
    """Made once: a client of the AWS SDK takes long to make."""
    return sagemaker.Endpoint(ENDPOINT)


@pytest.fixture(scope="module")
def queue(s3: Any) -> sagemaker.AsyncEndpoint:
    return sagemaker.AsyncEndpoint(ENDPOINT, BUCKET)


@pytest.fixture(params=["url", "endpoint"])
def provider(request: pytest.FixtureRequest, fake: FakeGpu, endpoint: sagemaker.Endpoint) -> Any:
    """Each of the two ways that answer at once."""
    return endpoint if request.param == "endpoint" else sagemaker.build(Settings(gpu_worker_url=f"{fake.url}/"))


def _finish(provider: Provider | TicketProvider, ticket: Ticket, order: ImageTask) -> GeneratedImage:
    assert isinstance(provider, TicketProvider)
    for _ in range(200):
        if painted := provider.collect(ticket, order, 5):
            return painted
        time.sleep(0.02)
    raise AssertionError("it never ends")


def test_every_fault_of_the_double_is_tested() -> None:
    assert {*OUTCOMES, *WIRE, *AWS, *ANSWERED} == FakeGpu.faults()


@pytest.mark.parametrize("fault", [*OUTCOMES, *WIRE])
def test_one_call_under_every_fault(fault: str, fake: FakeGpu, provider: Any, waits: list[float]) -> None:
    fake.inject(fault, times=None)
    timeout = 0.5 if fault in ("hang", "drip", "drip_headers") else 20
    with pytest.raises(ProviderFailure) as caught:
        provider.paint(ORDER, timeout)
    outcomes = BEHIND if isinstance(provider, sagemaker.Endpoint) else OUTCOMES
    assert (caught.value.code, caught.value.paid) == ({**outcomes, **WIRE}[fault], "no")
    assert caught.value.retry_after == (3 if fault == "busy" else None)
    assert len(fake.works) == 1
    assert 0 < max(waits) <= timeout


@pytest.mark.parametrize("fault", AWS)
def test_one_call_under_every_fault_of_sagemaker(fault: str, fake: FakeGpu, endpoint: sagemaker.Endpoint) -> None:
    fake.inject(fault, times=None)
    with pytest.raises(ProviderFailure) as caught:
        endpoint.paint(ORDER, 20)
    assert (caught.value.code, caught.value.paid) == (AWS[fault], "no")
    assert "arn:" not in caught.value.detail
    assert len(fake.works) == 1


@pytest.mark.parametrize("fault", sorted(ANSWERED))
def test_one_call_for_an_answer(fault: str, fake: FakeGpu, provider: Any) -> None:
    fake.inject(fault, seconds=0.1)
    assert provider.paint(ORDER, 20).seed == 7
    assert len(fake.works) == 1


def _every_order() -> list[ImageTask]:
    sides = TURBO.sides
    assert sides
    return [
        replace(ORDER, prompt="ein Käfer 🐞", seed=TURBO.seed_max, steps=1, cfg=0.0),
        replace(ORDER, prompt="x" * 10_000, seed=TURBO.seed_min, steps=150, cfg=30.0, generate=(sides.max, sides.min)),
        replace(ORDER, negative_prompt="dogs", generate=(sides.min, sides.min + sides.step)),
        replace(ORDER, reference=PICTURE, reference_type="image/png"),
        *(replace(ORDER, format=fmt) for fmt in get_args(Format)),
    ]


def test_a_strict_service_takes_every_order(fake: FakeGpu, provider: Any) -> None:
    for order in _every_order():
        painted = provider.paint(order, 20)
        assert (bool(painted.data), painted.seed, painted.cost_usd) == (True, order.seed, None)
    assert len(fake.works) == len(fake.calls) == len(_every_order())


def test_same_order_same_picture_on_every_way(
    fake: FakeGpu, endpoint: sagemaker.Endpoint, queue: sagemaker.AsyncEndpoint
) -> None:
    painted = sagemaker.Worker(fake.url).paint(ORDER, 20)
    assert painted == endpoint.paint(ORDER, 20) == _finish(queue, queue.submit(ORDER, 10), ORDER)


def test_the_deadline_is_total(fake: FakeGpu, provider: Any, waits: list[float]) -> None:
    fake.inject("drip")
    with pytest.raises(ProviderFailure, match="within"):
        provider.paint(ORDER, 0.5)
    assert 0 < max(waits) <= 0.5
    assert provider.paint(ORDER, 20).seed == 7  # the abandoned call is in nobody's way


def test_nothing_is_sent_without_time(fake: FakeGpu, provider: Any) -> None:
    with pytest.raises(ProviderFailure) as caught:
        provider.paint(ORDER, 0)
    assert (caught.value.code, caught.value.paid) == ("timeout", "no")
    assert fake.calls == []


@pytest.mark.parametrize("settings", [REAL_TIME, Settings(gpu_worker_url="http://127.0.0.1:1")])
def test_what_cannot_be_reached(settings: Settings, fake: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ProviderFailure) as caught:
            sagemaker.build(settings).paint(ORDER, 5)  # type: ignore[union-attr]
    assert (caught.value.code, caught.value.paid) == ("unavailable", "no")


@pytest.mark.parametrize("lacking", ["AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION"])
def test_credentials_that_cannot_be_used(lacking: str, fake: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(lacking)
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ProviderFailure) as caught:
        sagemaker.Endpoint(ENDPOINT).paint(ORDER, 5)
    assert (caught.value.code, caught.value.paid) == ("not_authorized", "no")
    assert fake.calls == []


def test_a_request_too_large_for_an_endpoint_is_not_sent(fake: FakeGpu, endpoint: sagemaker.Endpoint) -> None:
    large = replace(ORDER, reference=bytes(5_000_000), reference_type="image/png")
    with pytest.raises(ProviderFailure) as caught:
        endpoint.paint(large, 20)
    assert caught.value.code == "invalid_request"
    assert fake.calls == []


def test_the_prompt_is_not_logged(fake: FakeGpu, provider: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    fake.inject("invalid")
    with pytest.raises(ProviderFailure) as caught:
        provider.paint(replace(ORDER, prompt="my secret wish"), 20)
    assert "secret wish" not in caplog.text + caught.value.detail


# An asynchronous endpoint


def test_work_goes_through_the_bucket(fake: FakeGpu, s3: Any, queue: sagemaker.AsyncEndpoint) -> None:
    fake.seconds = 3600
    ticket = queue.submit(ORDER, 10)
    assert json.loads(s3.get_object(Bucket=BUCKET, Key=f"async/in/{ID}.json")["Body"].read()) == to_payload(ORDER)
    assert queue.collect(ticket, ORDER, 5) is None
    fake.skip(3600)
    assert _finish(sagemaker.build(ASYNC), ticket, ORDER).seed == 7  # by another process
    assert len(fake.works) == 1


def test_a_request_lies_where_its_job_can_be_told_from(
    fake: FakeGpu, s3: Any, queue: sagemaker.AsyncEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    runtime = queue._aws._client("sagemaker-runtime")
    call = runtime.invoke_endpoint_async
    monkeypatch.setattr(runtime, "invoke_endpoint_async", lambda **given: sent.append(given) or call(**given))
    job = "01994c6e-0000-7000-8000-000000000000"
    queue.submit(replace(ORDER, owner=f"acme/{job}"), 10)
    key = f"async/in/acme/{job}/{ID}.json"
    assert sent[0]["InputLocation"] == f"s3://{BUCKET}/{key}"
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    assert ids.owner_of(key) == ("acme", job)
    assert sent[0]["InferenceId"] == ID


def test_what_nobody_waits_for_any_more_is_not_begun(
    fake: FakeGpu, queue: sagemaker.AsyncEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[dict[str, Any]] = []
    runtime = queue._aws._client("sagemaker-runtime")
    call = runtime.invoke_endpoint_async
    monkeypatch.setattr(runtime, "invoke_endpoint_async", lambda **given: sent.append(given) or call(**given))
    queue.submit(ORDER, 10)
    assert sent[0]["RequestTTLSeconds"] == ORDER.card.max_seconds
    for card in catalogue.CARDS:
        assert card.provider != "sagemaker" or 60 <= card.max_seconds <= 21_600


@pytest.mark.parametrize("fault", OUTCOMES)
def test_work_that_fails(fault: str, fake: FakeGpu, queue: sagemaker.AsyncEndpoint) -> None:
    fake.inject(fault, times=None)
    ticket = queue.submit(ORDER, 10)
    with pytest.raises(ProviderFailure) as caught:
        _finish(queue, ticket, ORDER)
    assert (caught.value.code, caught.value.paid) == (BEHIND[fault], "no")
    assert len(fake.works) == 1


@pytest.mark.parametrize("fault", [*(f for f in AWS if f != "aws_time"), *WIRE])
def test_a_submission_that_is_refused_or_lost(fault: str, fake: FakeGpu, queue: sagemaker.AsyncEndpoint) -> None:
    fake.inject(fault)
    with pytest.raises(ProviderFailure) as caught:
        queue.submit(ORDER, 0.5 if fault in ("hang", "drip", "drip_headers") else 20)
    assert (caught.value.code, caught.value.paid) == ({**AWS, **WIRE}[fault], "no")
    assert len(fake.works) == 1


@pytest.mark.parametrize("fault", sorted(ANSWERED))
def test_a_ticket_for_an_answer(fault: str, fake: FakeGpu, queue: sagemaker.AsyncEndpoint) -> None:
    fake.inject(fault, seconds=0.1)
    assert _finish(queue, queue.submit(ORDER, 10), ORDER).seed == 7


def test_an_asynchronous_endpoint_takes_every_order(fake: FakeGpu, queue: sagemaker.AsyncEndpoint) -> None:
    large = replace(ORDER, reference=PICTURE + bytes(8_000_000), reference_type="image/png")
    for order in [*_every_order(), large]:
        assert _finish(queue, queue.submit(order, 10), order).seed == order.seed


def test_a_bucket_that_cannot_be_read(fake: FakeGpu, queue: sagemaker.AsyncEndpoint) -> None:
    ticket = Ticket(json.dumps(["s3://no-such-bucket/x", ""]))
    with pytest.raises(ProviderFailure) as caught:
        queue.collect(ticket, ORDER, 5)
    assert caught.value.code == "unavailable"
    with pytest.raises(ProviderFailure) as caught:
        queue.collect(ticket, ORDER, 0)
    assert caught.value.code == "unavailable"


def test_an_endpoint_without_a_place_for_failures(fake: FakeGpu, queue: sagemaker.AsyncEndpoint) -> None:
    assert queue.collect(Ticket(json.dumps([f"s3://{BUCKET}/async/out/x", ""])), ORDER, 5) is None


@pytest.mark.parametrize(
    "ticket", ["", "x", "[]", "[1, 2]", '["a", "b"]', '["s3://b", ""]', "null", '["s3://b/k", "x"]']
)
def test_tickets_that_are_none_of_ours(ticket: str, fake: FakeGpu, queue: sagemaker.AsyncEndpoint) -> None:
    with pytest.raises(ProviderFailure) as caught:
        queue.collect(Ticket(ticket), ORDER, 5)
    assert (caught.value.code, caught.value.paid) == ("outcome_unknown", "no")


# Reading


def _answer(**changes: Any) -> bytes:
    good = {"id": ID, "seed": 7, "image": base64.b64encode(b"a picture").decode()}
    return json.dumps({**good, **changes}).encode()


@pytest.mark.parametrize(("seed", "read"), [(7, 7), (None, None), (True, None), (-1, None), (MAX_SEED + 1, None)])
def test_image_and_its_seed(seed: Any, read: int | None) -> None:
    assert to_image(_answer(seed=seed), ORDER) == GeneratedImage(b"a picture", read)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"[" * 100_000, _answer(id="x"), _answer(image=""), _answer(image="!"), _answer(image=7)],
)
def test_answers_that_make_no_sense(body: bytes) -> None:
    with pytest.raises(ProviderFailure) as caught:
        to_image(body, ORDER)
    assert (caught.value.code, caught.value.paid) == ("bad_answer", "no")


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"error": 7}', b'{"error": {}}', b'{"error": {"code": "new"}}', b'{"error": {"code": []}}'],
)
def test_errors_that_are_not_the_workers(body: bytes) -> None:
    assert to_failure(body) is None
    assert to_lost(body.decode()).code == "failed"


@pytest.mark.parametrize(
    ("wait", "read"), [(3, 3), (0.5, 0.5), (None, None), (True, None), ("3", None), (-1, None), (1e9, None)]
)
def test_the_hint_to_wait(wait: Any, read: float | None) -> None:
    failure = to_failure(json.dumps({"error": {"code": "busy", "message": "", "retry_after": wait}}))
    assert failure
    assert failure.retry_after == read


def test_errors_within_a_sentence_of_sagemaker() -> None:
    said = json.dumps({"error": {"code": "busy", "message": "x", "retry_after": 3}})
    for quoted in (said, said.replace('"', '\\"')):
        failure = to_lost(f'Received server error (503) from primary with message "{quoted}". See https://x for more.')
        assert (failure.code, failure.retry_after) == ("unavailable", 3)
    assert to_lost("Your invocation timed out while waiting for a response from container primary").code == "timeout"


@pytest.mark.parametrize(("response", "code"), [({}, "unavailable"), ({"Error": {"Code": "Brand.New"}}, "failed")])
def test_errors_of_any_form(response: dict[str, Any], code: str) -> None:
    assert to_aws_failure(response).code == code


@pytest.mark.parametrize("wrong", ["http://127.0.0.1:37403,", "127.0.0.1"])
def test_an_address_that_is_none_ends_the_attempt_and_not_the_worker(
    wrong: str, fake: FakeGpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", wrong)
    with pytest.raises(ProviderFailure) as caught:
        sagemaker.Endpoint(ENDPOINT).paint(ORDER, 20)
    assert (caught.value.code, caught.value.paid) == ("not_authorized", "no")

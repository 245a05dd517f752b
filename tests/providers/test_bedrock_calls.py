"""The Bedrock provider's calls over HTTP: one per image, in time, after any fault."""

from __future__ import annotations

import io
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from lambdas.domain import catalogue
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.request import SAFE_NEGATIVE_PROMPT, ImageTask
from lambdas.egress.aws import IDLE_SECONDS
from lambdas.egress.deadline import within
from lambdas.providers import bedrock
from lambdas.settings import Settings
from tests.doubles.bedrock.faults import FAULTS
from tests.doubles.bedrock.service import FakeBedrock
from tests.doubles.edges import EDGES
from tests.doubles.service_wire import Reply

CORE = catalogue.cards_of("bedrock")[0]
ORDER = ImageTask(CORE, "a cat", 7, (1024, 1024), ratio="1:1")

OUTCOMES = {
    "throttle": ("throttled", "no"),
    "not_ready": ("unavailable", "no"),
    "unavailable": ("unavailable", "no"),
    "overloaded": ("unavailable", "no"),
    "internal": ("failed", "unknown"),
    "model_timeout": ("timeout", "unknown"),
    "model_error": ("failed", "unknown"),
    "quota": ("out_of_credit", "no"),
    "access_denied": ("not_authorized", "no"),
    "agreement": ("unavailable", "no"),
    "legacy": ("model_gone", "no"),
    "expired_token": ("not_authorized", "no"),
    "gone": ("model_gone", "no"),
    "validation": ("invalid_request", "no"),
    "bad_gateway": ("unavailable", "unknown"),
    "moderated_prompt": ("content_policy", "unknown"),
    "moderated_output": ("content_policy", "unknown"),
    "inference_error": ("failed", "unknown"),
    "unknown_reason": ("failed", "unknown"),
    "no_images": ("bad_answer", "unknown"),
    "errors": ("failed", "unknown"),
    "two_images": ("bad_answer", "unknown"),
    "wrong_base64": ("bad_answer", "unknown"),
    "empty_image": ("bad_answer", "unknown"),
    "truncated_json": ("bad_answer", "unknown"),
    "html": ("bad_answer", "unknown"),
    "list": ("bad_answer", "unknown"),
    "deep": ("bad_answer", "unknown"),
    "huge_integer": ("bad_answer", "unknown"),
    "huge": ("bad_answer", "unknown"),
    "hang": ("timeout", "unknown"),
    "drip": ("timeout", "unknown"),
    "drip_headers": ("timeout", "unknown"),
    "reset": ("outcome_unknown", "unknown"),
    "reset_body": ("outcome_unknown", "unknown"),
    "short_body": ("outcome_unknown", "unknown"),
}
# What is wrong with these is not for the provider to see: a slow answer is none, a picture is checked later.
ANSWERED = {"slow", "truncated_image", "wrong_size", "url_safe_base64", "base64_in_lines"}


def test_every_fault_of_the_double_is_tested() -> None:
    assert {*OUTCOMES, *ANSWERED} == FAULTS


@pytest.mark.parametrize("fault", OUTCOMES)
def test_one_call_under_every_fault(
    fault: str, fake: FakeBedrock, provider: bedrock.Bedrock, waits: list[float]
) -> None:
    fake.inject(fault, times=None)
    timeout = 0.6 if OUTCOMES[fault][0] == "timeout" else 20
    with pytest.raises(ProviderFailure) as caught:
        provider.paint(ORDER, timeout)
    assert (caught.value.code, caught.value.paid) == OUTCOMES[fault]
    assert len(fake.calls) == 1
    assert 0 < max(waits) <= timeout
    if fake.paid and caught.value.code != "content_policy":
        assert caught.value.paid == "unknown"


@pytest.mark.parametrize("fault", sorted(ANSWERED))
def test_one_call_for_an_answer(fault: str, fake: FakeBedrock, provider: bedrock.Bedrock) -> None:
    fake.inject(fault, seconds=0.3)
    assert provider.paint(ORDER, 20).seed == 7
    assert len(fake.calls) == 1


@pytest.mark.parametrize("fault", ["hang", "drip", "drip_headers"])
def test_the_deadline_is_total(fault: str, fake: FakeBedrock, provider: bedrock.Bedrock, waits: list[float]) -> None:
    fake.inject(fault, seconds=0.1)
    with pytest.raises(ProviderFailure, match="no answer within 1 s"):
        provider.paint(ORDER, 1.0)
    assert 0 < max(waits) <= 1.0
    assert provider.paint(ORDER, 20).seed == 7  # the abandoned call is in nobody's way


@pytest.mark.parametrize("wrong", ["http://127.0.0.1:37403,", "127.0.0.1"])
def test_an_address_that_is_none_ends_the_attempt_and_not_the_worker(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", wrong)
    with pytest.raises(ProviderFailure) as caught:
        bedrock.build(Settings()).paint(ORDER, 20)
    assert (caught.value.code, caught.value.paid) == ("not_authorized", "no")


def test_an_error_of_a_form_that_botocore_cannot_read(fake: FakeBedrock, provider: bedrock.Bedrock) -> None:
    """It raises then what Python has for it, and the call may have been charged."""
    for body in (b"[1]", b"5", b'{"code": ["a"]}', b'{"message": {"a": 1}}', b'{"__type": 7}'):
        odd = Reply(400, body, {"Content-Type": "application/json"})
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(EDGES, "odd", odd)
            fake.inject("odd")
            with pytest.raises(ProviderFailure) as caught:
                provider.paint(ORDER, 20)
        assert (caught.value.code, caught.value.paid) in (("bad_answer", "unknown"), ("unavailable", "no"))


PAINTERS = [card for card in catalogue.cards_of("bedrock") if "text-to-image" in card.capabilities]


@pytest.mark.parametrize("card", PAINTERS, ids=lambda card: card.id)
def test_a_strict_service_takes_every_order(card: ModelCard, fake: FakeBedrock, provider: bedrock.Bedrock) -> None:
    for ratio, size in card.ratios.items():
        order = ImageTask(card, "ein Käfer 🐞", card.seed_max, size, ratio=ratio, negative_prompt=SAFE_NEGATIVE_PROMPT)
        assert provider.paint(order, 20).data.startswith(b"\x89PNG")
    for fmt in card.formats:
        order = ImageTask(card, "x" * card.prompt_max, card.seed_min, (1024, 1024), ratio="1:1", format=fmt)
        assert provider.paint(order, 20).seed == card.seed_min
    assert {call.model for call in fake.paid} == {card.id}
    assert len(fake.paid) == len(fake.calls) == len(card.ratios) + len(card.formats)


@pytest.mark.parametrize("size", [(512, 768), (64, 64)])
def test_a_picture_to_start_from_gives_the_size(
    size: tuple[int, int], fake: FakeBedrock, provider: bedrock.Bedrock
) -> None:
    card = next(card for card in PAINTERS if card.references)
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, "PNG")
    order = ImageTask(card, "a cat", 7, (1024, 1024), ratio="1:1", reference=out.getvalue(), reference_type="image/png")
    with Image.open(io.BytesIO(provider.paint(order, 20).data)) as picture:
        assert picture.size == size
    assert len(fake.paid) == len(fake.calls) == 1


def test_same_order_same_picture(provider: bedrock.Bedrock) -> None:
    assert provider.paint(ORDER, 20) == provider.paint(ORDER, 20)


def test_the_region_is_the_models_own(fake: FakeBedrock) -> None:
    elsewhere = bedrock.build(Settings(bedrock_region="eu-central-1"))
    assert elsewhere.paint(ORDER, 20).seed == 7


def test_connections_are_kept_but_not_when_idle(fake: FakeBedrock) -> None:
    provider = bedrock.build(Settings())
    before = fake.connections
    for _ in range(3):
        provider.paint(ORDER, 20)
    assert fake.connections - before == 1
    used_at = provider._clients._used_at
    used_at |= {client: at - IDLE_SECONDS - 1 for client, at in used_at.items()}
    provider.paint(ORDER, 20)
    assert fake.connections - before == 2


def test_many_at_once_get_their_own(fake: FakeBedrock, provider: bedrock.Bedrock) -> None:
    orders = [ImageTask(CORE, "a cat", seed, (1024, 1024), ratio="1:1") for seed in range(1, 17)]
    with ThreadPoolExecutor(16) as pool:
        seeds = list(pool.map(lambda order: provider.paint(order, 30).seed, orders))
    assert seeds == [order.seed for order in orders]
    assert len(fake.paid) == 16


def test_nothing_is_sent_without_time(fake: FakeBedrock, provider: bedrock.Bedrock) -> None:
    with pytest.raises(ProviderFailure) as caught:
        provider.paint(ORDER, 0)
    assert (caught.value.code, caught.value.paid) == ("timeout", "no")
    assert fake.calls == []


def test_an_unreachable_service_was_not_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: refused
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ProviderFailure) as caught:
            bedrock.build(Settings()).paint(ORDER, 5)
    assert (caught.value.code, caught.value.paid) == ("unavailable", "no")


def test_no_credentials_is_said_and_not_paid(fake: FakeBedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ProviderFailure) as caught:
        bedrock.build(Settings()).paint(ORDER, 5)
    assert (caught.value.code, caught.value.paid) == ("not_authorized", "no")
    assert fake.calls == []


def test_a_plain_http_port_has_no_certificate(fake: FakeBedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", fake.url.replace("http:", "https:"))
    with pytest.raises(ProviderFailure) as caught:
        bedrock.build(Settings()).paint(ORDER, 5)
    assert (caught.value.code, caught.value.paid) == ("outcome_unknown", "unknown")


def test_the_prompt_is_not_logged(
    fake: FakeBedrock, provider: bedrock.Bedrock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fake.inject("validation")
    with pytest.raises(ProviderFailure):
        provider.paint(ImageTask(CORE, "my secret wish", 7, (1024, 1024), ratio="1:1"), 20)
    assert "secret wish" not in caplog.text


def test_within_hands_on_what_the_call_does() -> None:
    assert within(1, lambda: 3) == 3
    with pytest.raises(KeyError):
        within(1, lambda: dict[str, int]()["x"])
    over = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.05, lambda: over.wait(60))
    over.set()

"""Leonardo: requests, the reading of answers, and one paid call after any fault."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lambdas.domain.catalogue.cards.leonardo_ai import CARDS
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.request import SAFE_NEGATIVE_PROMPT, GeneratedImage, ImageTask, Ticket
from lambdas.domain.ports.providers import TicketProvider
from lambdas.providers import leonardo_ai
from lambdas.providers._client import fetch
from lambdas.providers._client.http import Answer
from lambdas.providers.leonardo_ai import NO_STYLE, to_failure, to_image, to_payload, to_ticket
from lambdas.settings import Settings
from tests.doubles.leonardo import KEY, FakeLeonardo

FLUX = CARDS[0]
PHOENIX = CARDS[1]
ORDER = ImageTask(FLUX, "a cat", 7, (1024, 768), id="7d0cf0b2-8f47-4c8e-9a0e-2b8f3a1c5d11")
ID = "e0fa9b6e-1a2b-4c3d-8e4f-5a6b7c8d9e0f"


@pytest.fixture(scope="module")
def _fake() -> Iterator[FakeLeonardo]:
    with FakeLeonardo() as fake:
        yield fake


@pytest.fixture
def fake(_fake: FakeLeonardo, monkeypatch: pytest.MonkeyPatch) -> FakeLeonardo:
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0.01)
    _fake.clear()
    _fake.calls.clear()
    _fake.seconds = 0
    return _fake


@pytest.fixture
def provider(fake: FakeLeonardo) -> leonardo_ai.Leonardo:
    return leonardo_ai.build(Settings(leonardo_api_key=KEY, leonardo_base_url=fake.base_url))


def collected(provider: leonardo_ai.Leonardo, ticket: Ticket, timeout: float = 5) -> GeneratedImage:
    for _ in range(20):
        if painted := provider.collect(ticket, ORDER, timeout):
            return painted
        time.sleep(0.02)
    raise AssertionError("it never came")


def test_payload_with_the_least() -> None:
    assert to_payload(ORDER) == {
        "model": "flux-dev",
        "public": False,
        "parameters": {
            "prompt": "a cat",
            "prompt_enhance": "OFF",
            "width": 1024,
            "height": 768,
            "quantity": 1,
            "seed": 7,
            "style_ids": [NO_STYLE],
        },
    }


def test_payload_with_everything() -> None:
    order = replace(ORDER, card=PHOENIX, negative_prompt="dogs", steps=9, cfg=3.0, reference=b"abc")
    parameters = to_payload(order)["parameters"]
    assert parameters["negative_prompt"] == "dogs"
    assert (parameters["mode"], parameters["contrast"]) == ("FAST", "MEDIUM")
    assert {"steps", "cfg", "num_inference_steps", "guidance_scale"}.isdisjoint(parameters)
    image = {"type": "BASE64", "data": base64.b64encode(b"abc").decode()}
    assert parameters["guidances"] == {"content": [{"image": image, "strength": "MID"}]}


def _answer(said: Any, status: int = 200, paid: bool = True) -> Answer:
    return Answer(status, {}, said if isinstance(said, bytes) else json.dumps(said).encode(), paid)


COST = {"amount": "0.0147", "unit": "DOLLARS"}


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        ({"generationId": ID, "apiCreditCost": 7}, None),
        ({"generate": {"generationId": ID, "apiCreditCost": None, "cost": COST}}, 0.0147),
        ({"sdGenerationJob": {"generationId": ID, "cost": COST}}, 0.0147),
        ({"generate": {"generationId": ID, "cost": {"amount": "5", "unit": "CREDITS"}}}, None),
        ({"generate": {"generationId": ID, "cost": {"amount": "-5", "unit": "DOLLARS"}}}, None),
        ({"generate": {"generationId": ID, "cost": {"unit": "DOLLARS"}}}, None),
        ({"generate": {"generationId": ID, "cost": "free"}}, None),
    ],
)
def test_tickets_in_all_forms(said: Any, cost: float | None) -> None:
    assert to_ticket(_answer(said)) == Ticket(ID, cost)


@pytest.mark.parametrize(
    ("status", "said", "code", "paid"),
    [
        (200, {}, "bad_answer", "unknown"),
        (200, [], "bad_answer", "unknown"),
        (200, None, "bad_answer", "unknown"),
        (200, {"generate": "x"}, "bad_answer", "unknown"),
        (200, {"generationId": 5}, "bad_answer", "unknown"),
        (200, {"generationId": "../me"}, "bad_answer", "unknown"),
        (200, b"<html>", "bad_answer", "unknown"),
        (200, {"errors": [{"message": "Service Error"}]}, "failed", "unknown"),
        (200, [{"message": "Service Error"}], "failed", "unknown"),
        (200, {"error": {"message": "content moderation filter"}}, "content_policy", "no"),
        (400, {"error": "Request blocked by the content moderation filter"}, "content_policy", "no"),
        (403, {"error": "Your prompt appears to contain inappropriate content"}, "content_policy", "no"),
        (
            401,
            {"error": "Authentication hook unauthorized this request", "code": "access-denied"},
            "not_authorized",
            "no",
        ),
        (500, {"error": "Invalid response from authorization hook", "code": "unexpected"}, "not_authorized", "no"),
        (500, {"error": "Service Error", "code": "unexpected"}, "failed", "unknown"),
        (500, {"error": "load balancer"}, "failed", "unknown"),
        (400, {"error": "Not enough API tokens"}, "out_of_credit", "no"),
        (402, {}, "out_of_credit", "no"),
        (400, {"error": "X is not supported within the Production API"}, "model_gone", "no"),
        (400, {"error": "invalid dimensions", "path": "$", "code": "validation-failed"}, "invalid_request", "no"),
        (400, {"errors": [{"message": "too many images"}]}, "invalid_request", "no"),
        (400, [{"message": "too many images"}], "invalid_request", "no"),
        (400, b"\xff", "unavailable", "no"),
        (403, b"<html>Cloudflare</html>", "unavailable", "no"),
        (403, b"", "not_authorized", "no"),
        (429, {"error": "rate"}, "throttled", "no"),
        (502, b"<html>", "unavailable", "unknown"),
        (504, b"", "timeout", "unknown"),
        (302, b"", "bad_answer", "unknown"),
    ],
)
def test_refusals_and_nonsense(status: int, said: Any, code: str, paid: str) -> None:
    with pytest.raises(ProviderFailure) as caught:
        to_ticket(_answer(said, status))
    assert (caught.value.code, caught.value.paid) == (code, paid)


def test_their_words_are_told_without_our_key() -> None:
    failure = to_failure(_answer({"error": f"invalid dimensions for {KEY} " + "x" * 999}, 400), KEY)
    assert "invalid dimensions for ***" in failure.detail
    assert len(failure.detail) < 300


def _found(status: str = "COMPLETE", images: Any = ({"url": "https://cdn/x", "nsfw": False},), **more: Any) -> Any:
    return {"generations_by_pk": {"status": status, "generated_images": images, **more}}


def test_a_generation_and_its_seed() -> None:
    assert to_image(_answer(_found(seed=7))) == ("https://cdn/x", 7)
    assert to_image(_answer(_found(seed="7"))) == ("https://cdn/x", 7)
    for odd in (True, -1, "-1", "x", "", 7.0, "9" * 20, 10**30, [7], None):
        assert to_image(_answer(_found(seed=odd))) == ("https://cdn/x", None)
    assert to_image(_answer(_found("PENDING", ()))) is None


ODD: list[Any] = [[{"moderationClassification": []}], [], None, "x", [None, 7, "x"], {"moderationClassification": 1}]


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (200, _found("FAILED"), "failed"),
        (200, _found("FAILED", prompt_moderations=[{"moderationClassification": ["SEXUAL"]}]), "content_policy"),
        (200, _found("FAILED", (), prompt_moderations=[{}, {"moderationClassification": ["X"]}]), "content_policy"),
        *[(200, _found("FAILED", prompt_moderations=odd), "failed") for odd in ODD],
        (200, _found(images=[{"url": "https://cdn/x", "nsfw": True}]), "content_policy"),
        (200, _found(images=[]), "bad_answer"),
        (200, _found(images=None), "bad_answer"),
        (200, _found(images=[{"url": "a"}, {"url": "b"}]), "bad_answer"),
        (200, _found(images=[{"url": None}]), "bad_answer"),
        (200, _found(images=["x"]), "bad_answer"),
        (200, _found("SOMETHING"), "bad_answer"),
        (200, {"generations_by_pk": None}, "outcome_unknown"),
        (200, {"generations_by_pk": "x"}, "bad_answer"),
        (200, {}, "bad_answer"),
        (200, [], "bad_answer"),
        (200, b"<html>", "bad_answer"),
        (404, b"", "outcome_unknown"),
        (401, {"error": "x"}, "not_authorized"),
        (400, {"error": "x"}, "outcome_unknown"),  # of the question, not of the request
    ],
)
def test_generations_without_an_image(status: int, said: Any, code: str) -> None:
    with pytest.raises(ProviderFailure) as caught:
        to_image(_answer(said, status))
    assert (caught.value.code, caught.value.paid) == (code, "unknown")


SUBMIT = {
    "throttle": ("throttled", "no"),
    "throttle_hint": ("throttled", "no"),
    "internal": ("failed", "unknown"),
    "unavailable": ("unavailable", "no"),
    "bad_gateway": ("unavailable", "unknown"),
    "gateway_timeout": ("timeout", "unknown"),
    "moderated": ("content_policy", "no"),
    "moderated_403": ("content_policy", "no"),
    "out_of_credit": ("out_of_credit", "no"),
    "out_of_tokens": ("out_of_credit", "no"),
    "not_authorized": ("not_authorized", "no"),
    "key_no_uuid": ("not_authorized", "no"),
    "no_rest": ("unavailable", "no"),
    "gone": ("model_gone", "no"),
    "invalid": ("invalid_request", "no"),
    "null_variable": ("failed", "unknown"),
    "graphql_list": ("invalid_request", "no"),
    "nonsense": ("bad_answer", "unknown"),
    "sign_in_page": ("bad_answer", "unknown"),
    "hang": ("timeout", "unknown"),
    "drip": ("timeout", "unknown"),
    "drip_headers": ("timeout", "unknown"),
    "reset": ("outcome_unknown", "unknown"),
    "lost_response": ("outcome_unknown", "unknown"),
    "reset_body": ("outcome_unknown", "unknown"),
    "short_body": ("outcome_unknown", "unknown"),
}
COLLECT = {
    "failed_job": "failed",
    "moderated_image": "content_policy",
    "moderated_job": "content_policy",
    "judged_job": "failed",
    "no_image": "bad_answer",
    "two_images": "bad_answer",
    "private_address": "bad_answer",
    "forgotten": "outcome_unknown",
    "unknown_form": "bad_answer",
    "new_status": "bad_answer",
    "huge_image": "bad_answer",
}
# An image comes of these: a slow one, a cost that cannot be, other forms, and pictures whose fault is found later.
IMAGE = {"slow", "form_flat", "form_v1", "no_cost", "text_seed", "truncated_image", "wrong_size", "html", "empty_image"}


def test_every_fault_of_the_double_is_tested() -> None:
    assert {*SUBMIT, *COLLECT, *IMAGE} == FakeLeonardo.faults()


@pytest.mark.parametrize("fault", SUBMIT)
def test_one_call_under_every_fault(
    fault: str, fake: FakeLeonardo, provider: leonardo_ai.Leonardo, waits: list[float]
) -> None:
    fake.inject(fault, times=None)
    with pytest.raises(ProviderFailure) as caught:
        provider.submit(ORDER, 0.4)
    assert (caught.value.code, caught.value.paid) == SUBMIT[fault]
    assert caught.value.retry_after == (3 if fault == "throttle_hint" else None)
    assert 0 < max(waits) <= 0.4
    assert len(fake.calls) == 1
    if fake.paid:
        assert caught.value.paid == "unknown"


@pytest.mark.parametrize("fault", COLLECT)
def test_work_that_ends_without_an_image(fault: str, fake: FakeLeonardo, provider: leonardo_ai.Leonardo) -> None:
    fake.inject(fault)
    ticket = provider.submit(ORDER, 5)
    with pytest.raises(ProviderFailure) as caught:
        provider.collect(ticket, ORDER, 5)
    assert (caught.value.code, caught.value.paid) == (COLLECT[fault], "unknown")
    assert len(fake.paid) == 1


@pytest.mark.parametrize("fault", sorted(IMAGE))
def test_work_that_ends_with_one(fault: str, fake: FakeLeonardo, provider: leonardo_ai.Leonardo) -> None:
    fake.inject(fault)
    painted = collected(provider, provider.submit(ORDER, 5))
    assert painted.seed == 7
    assert painted.cost_usd == (None if fault in ("form_flat", "no_cost") else 0.0147)
    assert len(fake.works) == 1


@pytest.mark.parametrize("fault", ["throttle", "throttle_hint", "internal", "unavailable", "hang", "drip", "reset"])
@pytest.mark.parametrize("at", ["ask", "image"])
def test_what_passes_is_asked_again(fault: str, at: str, fake: FakeLeonardo, provider: leonardo_ai.Leonardo) -> None:
    ticket = provider.submit(ORDER, 5)
    fake.inject(fault, times=None, at=at)
    with pytest.raises(ProviderFailure) as caught:
        provider.collect(ticket, ORDER, 0.4)
    throttled = at == "ask" and fault.startswith("throttle")
    assert (caught.value.code, caught.value.paid) == ("throttled" if throttled else "unavailable", "unknown")
    fake.clear()
    assert collected(provider, ticket).data
    assert len(fake.works) == 1


def test_patience(fake: FakeLeonardo, provider: leonardo_ai.Leonardo) -> None:
    fake.seconds = 3600
    ticket = provider.submit(ORDER, 5)
    assert provider.collect(ticket, ORDER, 5) is None
    fake.skip(3600)
    again = leonardo_ai.build(Settings(leonardo_api_key=KEY, leonardo_base_url=fake.base_url + "/"))
    assert collected(provider, ticket) == collected(again, ticket)  # any process may ask, any number of times
    assert len(fake.works) == 1


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_a_strict_service_takes_every_order(
    card: ModelCard, fake: FakeLeonardo, provider: leonardo_ai.Leonardo
) -> None:
    from PIL import Image

    assert card.sides
    least, most = card.sides.min, min(card.sides.max, 1024)
    negative = SAFE_NEGATIVE_PROMPT if "negative_prompt" in card.honours else None
    order = ImageTask(card, "ein Käfer 🐞", card.seed_max, (least, most), negative_prompt=negative)
    painted = collected(provider, provider.submit(order, 5))
    with Image.open(io.BytesIO(painted.data)) as picture:
        assert (picture.format, picture.size) == ("JPEG", (least, most))
    assert painted.seed == card.seed_max
    longest = ImageTask(card, "x" * card.prompt_max, card.seed_min, (most, least), reference_type="image/png")
    if negative:
        longest = replace(longest, negative_prompt="x" * card.negative_prompt_max)
    if card.references:
        longest = replace(longest, reference=b"\x89PNG" * 1000)
    assert collected(provider, provider.submit(longest, 5)).seed == card.seed_min
    assert len(fake.paid) == len(fake.works) == 2


def test_a_key_that_is_no_uuid(fake: FakeLeonardo) -> None:
    for key in ("hunter2", "ffffffff-ffff-4fff-8fff-ffffffffffff"):
        provider = leonardo_ai.build(Settings(leonardo_api_key=key, leonardo_base_url=fake.base_url))
        with pytest.raises(ProviderFailure) as caught:
            provider.submit(ORDER, 5)
        assert (caught.value.code, caught.value.paid) == ("not_authorized", "no")
        assert key not in caught.value.detail
    assert fake.paid == []


def test_it_is_a_ticket_provider(provider: leonardo_ai.Leonardo) -> None:
    assert isinstance(provider, TicketProvider)
    assert not provider.client_chooses_id
    assert all(card.call == "ticket" for card in CARDS)

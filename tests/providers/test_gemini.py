"""Gemini: requests, the reading of answers, and one call after any fault."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from lambdas.domain import catalogue
from lambdas.domain.catalogue.cards.gemini import RATES
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.request import ImageTask
from lambdas.providers import gemini
from lambdas.providers._client.http import Answer
from lambdas.providers.gemini import POLICY, to_failure, to_image, to_payload
from lambdas.settings import Settings
from tests.doubles.gemini import KEY, MODELS, ODD_BASE64, RATIOS, FakeGemini, usage
from tests.doubles.service import paint

BANANA = catalogue.cards_of("gemini")[0]
PRO = catalogue.card("gemini-3-pro-image")
ORDER = ImageTask(BANANA, "a cat", 7, (1024, 1024), ratio="1:1", id="3f1c9a52-0c55-4b7e-9d2e-1f4d7a3b9c10")
PICTURE = paint("a sketch", (64, 48), "JPEG")


def test_payload() -> None:
    assert to_payload(ORDER) == {
        "contents": [{"role": "user", "parts": [{"text": "a cat"}]}],
        "generationConfig": {
            "responseModalities": ["IMAGE"],
            "imageConfig": {"aspectRatio": "1:1", "imageSize": "1K"},
            "seed": 7,
        },
    }


def test_payload_with_several_references() -> None:
    more = ((b"\x02", "image/png"), (b"\x03", "image/jpeg"))
    order = ImageTask(BANANA, "a cat", 7, (8, 8), reference=b"\x01", reference_type="image/webp", more_references=more)
    payload = to_payload(order)
    assert [part["inlineData"] for part in payload["contents"][0]["parts"][1:]] == [
        {"mimeType": "image/webp", "data": "AQ=="},
        {"mimeType": "image/png", "data": "Ag=="},
        {"mimeType": "image/jpeg", "data": "Aw=="},
    ]


def test_payload_with_a_reference() -> None:
    order = ImageTask(BANANA, "a cat", 7, (1376, 768), ratio="16:9", reference=b"\x00\x01", reference_type="image/webp")
    payload = to_payload(order)
    assert payload["contents"][0]["parts"] == [
        {"text": "a cat"},
        {"inlineData": {"mimeType": "image/webp", "data": "AAE="}},
    ]


def test_payload_never_holds_what_no_model_knows() -> None:
    order = ImageTask(BANANA, "a cat", 7, (1024, 1024), ratio="1:1", negative_prompt="dogs", steps=30, cfg=7.0)
    assert to_payload(order) == to_payload(ORDER)


def test_the_class_of_size_is_that_of_the_cards() -> None:
    assert PRO
    classes = {
        card.id: {
            to_payload(ImageTask(card, "x", 1, size, ratio=ratio))["generationConfig"]["imageConfig"]["imageSize"]
            for ratio, size in card.ratios.items()
        }
        for card in catalogue.cards_of("gemini")
    }
    assert classes == {BANANA.id: {"1K"}, "gemini-3.1-flash-lite-image": {"1K"}, PRO.id: {"2K"}}


def test_the_cards_are_the_facts() -> None:
    assert BANANA.id == "gemini-nano-banana-2.1"
    assert set(RATES) == {card.id for card in catalogue.cards_of("gemini")} == set(MODELS)
    for card in catalogue.cards_of("gemini"):
        size_class = "2K" if card is PRO else "1K"
        tokens = MODELS[card.id][size_class]
        assert card.price_usd == pytest.approx(tokens * RATES[card.id].image / 1e6, rel=0.01)
        scale = 2 if card is PRO else 1
        assert card.ratios == {ratio: (w * scale, h * scale) for ratio, (w, h) in RATIOS.items()}
        assert card.honours == {"seed"}
        assert card.seed_max == 2**31 - 1
        assert "image-to-image" in card.capabilities
        assert card.references == {"gemini-nano-banana-2.1": 3}.get(card.id, 14)
        assert (card.call, card.retires_on) == ("single_shot", None)


def _answer(*parts: dict[str, Any], reason: str = "STOP", counts: dict[str, Any] | None = None) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": reason}
    return {"candidates": [candidate], "usageMetadata": usage(1120) if counts is None else counts}


def _blob(data: bytes = b"a picture", kind: str = "image/png") -> dict[str, Any]:
    return {"inlineData": {"mimeType": kind, "data": base64.b64encode(data).decode()}}


def test_image_and_cost() -> None:
    counts = usage(1120, text=10, thoughts=200, prompt=100)
    painted = to_image(_answer({"text": "Here:"}, _blob(), counts=counts), BANANA.id)
    assert (painted.data, painted.seed) == (b"a picture", None)
    assert painted.cost_usd == pytest.approx(1120 * 30e-6 + 210 * 7.5e-6 + 100 * 1.5e-6)


@pytest.mark.parametrize(
    ("counts", "cost"),
    [
        ({}, None),
        ({"candidatesTokenCount": 1120}, 0.0336),
        ({"candidatesTokenCount": "1120"}, None),
        ({"candidatesTokenCount": 10**12}, None),
        ({"candidatesTokenCount": -5, "candidatesTokensDetails": [7]}, None),
        (
            {"candidatesTokenCount": 1120, "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}]},
            0.0336,
        ),
        (7, None),
    ],
)
def test_counts_of_any_form(counts: Any, cost: float | None) -> None:
    assert to_image({**_answer(_blob()), "usageMetadata": counts}, BANANA.id).cost_usd == cost


def test_thoughts_are_no_pictures() -> None:
    draft = {**_blob(b"a draft"), "thought": True}
    assert to_image(_answer(draft, _blob(b"the picture")), BANANA.id).data == b"the picture"
    with pytest.raises(ProviderFailure) as caught:
        to_image(_answer(draft), BANANA.id)
    assert caught.value.code == "failed"


@pytest.mark.parametrize("reason", sorted(POLICY))
def test_refusals_by_policy(reason: str) -> None:
    for parts in [(), (_blob(),)]:  # with an image held back, or in spite of one
        with pytest.raises(ProviderFailure) as caught:
            to_image(_answer(*parts, reason=reason), BANANA.id)
        assert (caught.value.code, caught.value.paid) == ("content_policy", "unknown")
    with pytest.raises(ProviderFailure) as caught:
        to_image(_answer(reason=reason, counts=usage(0)), BANANA.id)
    assert (caught.value.code, caught.value.paid) == ("content_policy", "no")


@pytest.mark.parametrize(
    "reason", ["NO_IMAGE", "IMAGE_OTHER", "OTHER", "MALFORMED_RESPONSE", "MAX_TOKENS", "STOP", "LANGUAGE", "BRAND_NEW"]
)
def test_an_end_without_an_image_may_be_tried_again(reason: str) -> None:
    with pytest.raises(ProviderFailure) as caught:
        to_image(_answer({"text": "I am sorry"}, reason=reason, counts=usage(0, text=4)), BANANA.id)
    assert (caught.value.code, caught.value.paid) == ("failed", "no")
    assert "sorry" not in caught.value.detail


@pytest.mark.parametrize(
    "block", ["SAFETY", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "IMAGE_SAFETY", "MODEL_ARMOR", "JAILBREAK"]
)
def test_a_blocked_prompt(block: str) -> None:
    with pytest.raises(ProviderFailure) as caught:
        to_image({"promptFeedback": {"blockReason": block}, "usageMetadata": usage(0)}, BANANA.id)
    assert (caught.value.code, caught.value.paid) == ("content_policy", "no")


@pytest.mark.parametrize(
    "answer",
    [
        [],
        None,
        {},
        {"candidates": []},
        {"candidates": [7]},
        {"candidates": {"0": 1}},
        _answer({"inlineData": {"mimeType": "image/png", "data": ""}}),
        _answer({"inlineData": {"mimeType": "image/png", "data": "!"}}),
        _answer({"inlineData": {"mimeType": "image/png", "data": 7}}),
        _answer({"inlineData": {"data": "AAAA"}}),
        _answer(_blob(kind="text/html")),
    ],
)
def test_answers_that_make_no_sense(answer: Any) -> None:
    with pytest.raises(ProviderFailure) as caught:
        to_image(answer, BANANA.id)
    assert (caught.value.code, caught.value.paid) == ("bad_answer", "unknown")


@pytest.mark.parametrize("spell", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
def test_a_picture_in_another_spelling_of_base64_is_read(spell: Any) -> None:
    """It is paid for: the other alphabet, lines and a missing padding are no reason to throw it away."""
    data = bytes(range(256)) * 3 + b"x"
    for text in (spell(data).decode(), spell(data).decode().rstrip("=\n"), f" {spell(data).decode()}\r\n"):
        answer = _answer({"inlineData": {"mimeType": "image/png", "data": text}})
        assert to_image(answer, BANANA.id).data == data


OUTCOMES = {
    "throttle": ("throttled", "no"),
    "throttle_plain": ("throttled", "no"),
    "quota_day": ("out_of_credit", "no"),
    "quota_zero": ("out_of_credit", "no"),
    "out_of_credit": ("out_of_credit", "no"),
    "bad_key": ("not_authorized", "no"),
    "bad_key_plain": ("not_authorized", "no"),
    "region": ("not_authorized", "no"),
    "invalid": ("invalid_request", "no"),
    "forbidden": ("not_authorized", "no"),
    "gone": ("model_gone", "no"),
    "internal": ("failed", "no"),
    "unavailable": ("unavailable", "no"),
    "deadline": ("timeout", "unknown"),
    "bad_gateway": ("unavailable", "unknown"),
    "blocked_prompt": ("content_policy", "no"),
    "moderated": ("content_policy", "no"),
    "moderated_image": ("content_policy", "unknown"),
    "recitation": ("content_policy", "no"),
    "no_image": ("failed", "no"),
    "image_other": ("failed", "no"),
    "failed_job": ("failed", "no"),
    "words": ("failed", "no"),
    "draft_only": ("failed", "no"),
    "no_candidates": ("bad_answer", "no"),
    "wrong_base64": ("bad_answer", "unknown"),
    "no_picture": ("bad_answer", "unknown"),
    "truncated_json": ("bad_answer", "unknown"),
    "list": ("bad_answer", "unknown"),
    "deep": ("bad_answer", "unknown"),
    "empty_image": ("bad_answer", "unknown"),
    "huge_image": ("bad_answer", "unknown"),
    "hang": ("timeout", "unknown"),
    "drip": ("timeout", "unknown"),
    "drip_headers": ("timeout", "unknown"),
    "reset": ("outcome_unknown", "unknown"),
    "lost_response": ("outcome_unknown", "unknown"),
    "reset_body": ("outcome_unknown", "unknown"),
    "short_body": ("outcome_unknown", "unknown"),
}
# What is wrong with these is not for the provider to see: a picture is checked later.
ANSWERED = {"slow", "truncated_image", "wrong_size", "html", "draft_first", "jpeg", "uncounted", *ODD_BASE64}


@pytest.fixture(scope="module")
def _fake() -> Iterator[FakeGemini]:
    with FakeGemini() as fake:
        yield fake


@pytest.fixture
def fake(_fake: FakeGemini) -> FakeGemini:
    _fake.clear()
    _fake.calls.clear()
    return _fake


@pytest.fixture
def provider(fake: FakeGemini) -> gemini.Gemini:
    return gemini.build(Settings(gemini_base_url=f"{fake.url}/v1beta/", gemini_api_key=KEY))


def test_every_fault_of_the_double_is_tested() -> None:
    assert {*OUTCOMES, *ANSWERED} == FakeGemini.faults()


@pytest.mark.parametrize("fault", OUTCOMES)
def test_one_call_under_every_fault(fault: str, fake: FakeGemini, provider: gemini.Gemini, waits: list[float]) -> None:
    fake.inject(fault, times=None)
    timeout = 0.5 if fault in ("hang", "drip", "drip_headers") else 20
    with pytest.raises(ProviderFailure) as caught:
        provider.paint(ORDER, timeout)
    assert (caught.value.code, caught.value.paid) == OUTCOMES[fault]
    assert len(fake.works) == 1
    assert 0 < max(waits) <= timeout
    if fake.paid:
        assert caught.value.paid == "unknown"
    assert KEY not in caught.value.detail
    assert caught.value.retry_after == (31.0 if fault == "throttle" else None)


@pytest.mark.parametrize("fault", sorted(ANSWERED))
def test_one_call_for_an_answer(fault: str, fake: FakeGemini, provider: gemini.Gemini) -> None:
    fake.inject(fault, seconds=0.1)
    assert provider.paint(ORDER, 20).data
    assert len(fake.paid) == 1


@pytest.mark.parametrize("card", catalogue.cards_of("gemini"), ids=lambda card: card.id)
def test_a_strict_service_takes_every_order(card: ModelCard, fake: FakeGemini, provider: gemini.Gemini) -> None:
    ratios = card.ratios.items() if card is BANANA else [("1:1", card.ratios["1:1"]), ("21:9", card.ratios["21:9"])]
    for ratio, size in ratios:
        order = ImageTask(card, "ein Käfer 🐞", card.seed_max, size, ratio=ratio)
        painted = provider.paint(order, 20)
        assert painted.data.startswith(b"\x89PNG")
        assert painted.cost_usd == pytest.approx(card.price_usd, rel=0.05)
    edge = ImageTask(
        card,
        "x" * card.prompt_max,
        card.seed_min,
        card.ratios["1:1"],
        ratio="1:1",
        reference=PICTURE,
        reference_type="image/jpeg",
    )
    assert provider.paint(edge, 20).data
    assert {call.model for call in fake.paid} == {card.id}
    assert len(fake.paid) == len(fake.calls) == len(ratios) + 1


def test_same_order_same_picture(provider: gemini.Gemini) -> None:
    assert provider.paint(ORDER, 20) == provider.paint(ORDER, 20)


def test_a_wrong_key_is_refused(fake: FakeGemini) -> None:
    with pytest.raises(ProviderFailure) as caught:
        gemini.build(Settings(gemini_base_url=f"{fake.url}/v1beta", gemini_api_key="wrong")).paint(ORDER, 5)
    assert (caught.value.code, caught.value.paid) == ("not_authorized", "no")


def test_nothing_is_sent_without_time(fake: FakeGemini, provider: gemini.Gemini) -> None:
    with pytest.raises(ProviderFailure) as caught:
        provider.paint(ORDER, 0)
    assert (caught.value.code, caught.value.paid) == ("timeout", "no")
    assert fake.calls == []


def test_neither_prompt_nor_key_is_logged(
    fake: FakeGemini, provider: gemini.Gemini, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.inject("invalid")
    with pytest.raises(ProviderFailure):
        provider.paint(ImageTask(BANANA, "my secret wish", 7, (1024, 1024), ratio="1:1"), 20)
    assert "secret wish" not in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("delay", "wait"), [("31s", 31.0), ("0.25s", 0.25), ("31", None), ("-3s", None), (31, None), ("99999s", 3600.0)]
)
def test_the_hint_to_wait(delay: Any, wait: float | None) -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
    body = json.dumps({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [info]}}).encode()
    assert to_failure(Answer(429, {}, body, paid=True)).retry_after == wait


@pytest.mark.parametrize("body", [b"", b"[]", b'{"error": 7}', b'{"error": {"details": [7, {"violations": 1}]}}'])
def test_errors_of_any_form(body: bytes) -> None:
    assert to_failure(Answer(429, {"retry-after": "3"}, body, paid=True)).retry_after == 3.0
    assert to_failure(Answer(400, {}, body, paid=True)).code == "invalid_request"


def test_the_key_is_not_in_an_error_that_quotes_it() -> None:
    body = json.dumps({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": f"bad {KEY}"}}).encode()
    assert to_failure(Answer(400, {}, body, paid=True), KEY).detail.endswith(": bad ***")

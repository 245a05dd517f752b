"""Runware: requests, the reading of answers, one paid call after any fault, and tasks found again by id."""

from __future__ import annotations

import base64
import io
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from lambdas.domain.catalogue.cards.runware_ai import CARDS
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.request import GeneratedImage, ImageTask, Ticket
from lambdas.domain.ports.providers import TicketProvider
from lambdas.providers import runware_ai
from lambdas.providers._client import fetch
from lambdas.providers._client.http import Answer
from lambdas.providers.runware_ai import REFUSALS, to_failure, to_image, to_payload, to_ticket
from lambdas.settings import Settings
from tests.doubles.runware import KEY, FakeRunware

FLUX, SCHNELL, FLUX2, PRO = CARDS
ID = "7d0cf0b2-8f47-4c8e-9a0e-2b8f3a1c5d11"
ORDER = ImageTask(FLUX, "a cat", 7, (1024, 768), id=ID)


@pytest.fixture(scope="module")
def _fake() -> Iterator[FakeRunware]:
    with FakeRunware() as fake:
        yield fake


@pytest.fixture
def fake(_fake: FakeRunware, monkeypatch: pytest.MonkeyPatch) -> FakeRunware:
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0.01)
    _fake.clear()
    _fake.calls.clear()
    _fake.tasks.clear()
    _fake.seconds = 0
    return _fake


@pytest.fixture
def provider(fake: FakeRunware) -> runware_ai.Runware:
    return runware_ai.build(Settings(runware_api_key=KEY, runware_base_url=fake.base_url))


def collected(provider: runware_ai.Runware, ticket: Ticket, timeout: float = 5) -> GeneratedImage:
    for _ in range(20):
        if painted := provider.collect(ticket, ORDER, timeout):
            return painted
        time.sleep(0.02)
    raise AssertionError("it never came")


def test_payload_with_the_least() -> None:
    assert to_payload(ORDER) == {
        "taskType": "imageInference",
        "taskUUID": ID,
        "model": "runware:101@1",
        "positivePrompt": "a cat",
        "width": 1024,
        "height": 768,
        "seed": 7,
        "steps": 28,
        "CFGScale": 3.5,
        "numberResults": 1,
        "outputType": "URL",
        "outputFormat": "PNG",
        "deliveryMethod": "async",
        "includeCost": True,
        "safety": {"checkContent": True},
    }


def test_payload_with_everything() -> None:
    order = replace(ORDER, steps=9, cfg=0.0, format="jpeg", reference=b"abc", reference_type="image/webp")
    task = to_payload(order)
    assert (task["steps"], task["CFGScale"], task["outputFormat"]) == (9, 0.0, "JPG")
    image = "data:image/webp;base64," + base64.b64encode(b"abc").decode()
    assert task["inputs"] == {"seedImage": image}
    assert to_payload(replace(order, card=FLUX2))["inputs"] == {"referenceImages": [image]}


def test_payload_of_models_with_less() -> None:
    schnell = to_payload(replace(ORDER, card=SCHNELL))
    assert schnell["steps"] == 4
    assert "CFGScale" not in schnell
    assert {"steps", "CFGScale", "safety", "negativePrompt"}.isdisjoint(to_payload(replace(ORDER, card=PRO)))
    assert to_payload(replace(ORDER, prompt="x"))["positivePrompt"] == "x "


def _answer(said: Any, status: int = 200, paid: bool = True) -> Answer:
    return Answer(status, {}, said if isinstance(said, bytes) else json.dumps(said).encode(), paid)


def _errors(code: str, **more: Any) -> Any:
    return {"errors": [{"code": code, "message": "No.", "taskType": "imageInference", **more}]}


@pytest.mark.parametrize(
    ("status", "said", "code", "paid"),
    [
        *[(400, _errors(code), "content_policy", "no") for code in ("promptBlocked", "nsfwContentDetected")],
        (200, _errors("sensitiveContentDetected"), "content_policy", "no"),
        (400, _errors("invalidApiKey", parameter="apiKey"), "not_authorized", "no"),
        (401, {}, "not_authorized", "no"),
        (402, _errors("whatever"), "out_of_credit", "no"),
        (400, _errors("insufficientCredits"), "out_of_credit", "no"),
        (400, _errors("quotaExceeded"), "out_of_credit", "no"),
        (403, _errors("accountBalanceTooLow"), "out_of_credit", "no"),
        (429, {}, "throttled", "no"),
        (400, _errors("rateLimitExceeded"), "throttled", "no"),
        (500, _errors("timeoutProvider"), "timeout", "unknown"),
        (500, _errors("x"), "failed", "unknown"),
        (502, b"<html>", "unavailable", "unknown"),
        (503, b"", "unavailable", "no"),
        (504, b"", "timeout", "unknown"),
        (400, _errors("invalidModel"), "model_gone", "no"),
        (404, b"", "model_gone", "no"),
        (400, _errors("invalidValue", parameter=["width", "height"]), "invalid_request", "no"),
        (400, {"error": {"code": "x", "message": "No."}}, "invalid_request", "no"),
        (400, [{"code": "promptBlocked", "message": "No."}], "content_policy", "no"),
        (400, [1], "invalid_request", "no"),
        (200, _errors("x", parameter="width"), "invalid_request", "no"),
        (200, _errors("x"), "failed", "unknown"),
        (200, {"data": [{"taskUUID": ID}], **_errors("x")}, "failed", "unknown"),
        (200, {"data": []}, "bad_answer", "unknown"),
        (200, {"data": "x", "errors": "y"}, "bad_answer", "unknown"),
        (200, {"data": [1]}, "bad_answer", "unknown"),
        (200, {}, "bad_answer", "unknown"),
        (200, [], "bad_answer", "unknown"),
        (200, b"<html>", "bad_answer", "unknown"),
        (302, b"", "bad_answer", "unknown"),
    ],
)
def test_refusals_and_nonsense(status: int, said: Any, code: str, paid: str) -> None:
    with pytest.raises(ProviderFailure) as caught:
        to_ticket(_answer(said, status), ID)
    assert (caught.value.code, caught.value.paid) == (code, paid)


def test_their_words_are_told_without_our_key() -> None:
    error = {"code": "x", "message": f"Width of {KEY} is wrong. " + "x" * 999}
    failure = to_failure(_answer({}, 400), error, KEY)
    assert "Width of *** is wrong." in failure.detail
    assert len(failure.detail) < 300


# By the sets of the official runware-sdk 1.8.0 (errors.py): what each code is to it, and so what it is to us.
CODES = {
    "quota": "insufficientCredits quotaExceeded accountBalanceTooLow paymentRequired environmentPaused",
    "rateLimit": "rateLimitExceeded providerRateLimitExceeded",
    "auth": """unauthorized forbidden permissionDenied insufficientPermissions authenticationFailed authFailed
        authTimeout invalidAuthentication invalidCredentials missingAuthentication tokenExpired tokenInvalid
        tokenMissing tokenRevoked accountSuspended accountDisabled organizationSuspended workspaceDisabled
        invalidApiKey missingApiKey""",
    "timeout": "timeoutProvider inferenceTimeout",
    "gone": "modelNotFound unknownModel modelDisabled invalidModel",
    "room": "noAvailableServer modelUnavailable modelNotReady serviceUnavailable serverUnavailable",
    "broke": """inferenceError processingFailed taskFailed providerUnauthorized providerInternal
        providerServiceUnavailable internalServerError standardError unknownError undefinedError defaultError""",
    "safety": " ".join(sorted(REFUSALS)),
}
MEANT = {
    "quota": ("out_of_credit", "no"),
    "rateLimit": ("throttled", "no"),
    "auth": ("not_authorized", "no"),
    "timeout": ("timeout", "unknown"),
    "gone": ("model_gone", "no"),
    "room": ("unavailable", "no"),
    "broke": ("failed", "unknown"),
    "safety": ("content_policy", "no"),
}


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(("kind", "said"), [(kind, said) for kind, codes in CODES.items() for said in codes.split()])
def test_each_code_means_the_same_under_every_status(kind: str, said: str, status: int) -> None:
    """Flat or within the item of a task, whether the task was accepted or not."""
    nested = {"data": [_item(status="error", error={"code": said, "message": "No."})]}
    for answer in (_errors(said), nested):
        with pytest.raises(ProviderFailure) as caught:
            to_ticket(_answer(answer, status), ID)
        assert (caught.value.code, caught.value.paid) == MEANT[kind]
    with pytest.raises(ProviderFailure) as caught:
        to_image(_answer(nested), ID)
    ended = "failed" if MEANT[kind][0] in ("throttled", "unavailable", "timeout") else MEANT[kind][0]
    assert (caught.value.code, caught.value.paid) == (ended, "unknown")


def test_codes_are_words() -> None:
    assert all(code == code.lower() for code in REFUSALS)


def _item(**more: Any) -> dict[str, Any]:
    return {"taskType": "imageInference", "taskUUID": ID, **more}


GOOD = _item(imageURL="https://im/x.png", seed=7, cost=0.0038)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"data": [GOOD]}, GOOD),
        ({"data": [{**GOOD, "status": "success", "NSFWContent": False}], "errors": []}, None),
        ({"data": [{**GOOD, "taskUUID": "another"}, GOOD]}, GOOD),
        ({"data": [GOOD], "errors": [{"code": "x", "taskUUID": "another", "taskType": "videoInference"}]}, GOOD),
    ],
)
def test_a_task_that_is_done(said: Any, found: Any) -> None:
    assert to_image(_answer(said), ID) == (found or said["data"][0])


@pytest.mark.parametrize("said", [{"data": []}, {"data": [_item(status="processing")]}, {"data": [_item()]}, {}])
def test_a_task_that_is_not_done(said: Any) -> None:
    assert to_image(_answer(said), ID) is None


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (200, {"data": [_item(status="error", code="inferenceError", message="x")]}, "failed"),
        (200, {"data": [_item(status="error", code="promptBlocked")]}, "content_policy"),
        *[
            (200, {"data": [_item(status="error", error={"code": said, "message": "x"})]}, code)
            for said, code in (
                ("promptBlocked", "content_policy"),
                ("insufficientCredits", "out_of_credit"),
                ("tokenExpired", "not_authorized"),
                ("noAvailableServer", "failed"),
                ("x", "failed"),
            )
        ],
        *[(200, {"data": [_item(status="error", error=odd)]}, "failed") for odd in (None, "x", [1], {}, {"code": [1]})],
        (200, _errors("inferenceError", taskUUID=ID), "failed"),
        (200, {"errors": [{"code": "inferenceError", "taskUUID": ID}]}, "failed"),
        (200, _errors("timeoutProvider", taskUUID=ID), "failed"),
        (400, _errors("inferenceError", taskUUID=ID), "failed"),
        (400, _errors("x", taskUUID=ID), "invalid_request"),
        (500, _errors("inferenceError", taskUUID=ID), "unavailable"),
        (429, _errors("rateLimitExceeded", taskUUID=ID), "throttled"),
        (500, _errors("promptBlocked", taskUUID=ID), "content_policy"),
        (400, _errors("invalidProviderContent", taskUUID=ID), "content_policy"),
        (402, _errors("insufficientCredits", taskUUID=ID), "out_of_credit"),
        (404, {"errors": [{"code": "taskNotFound", "taskType": "getResponse", "taskUUID": ID}]}, "outcome_unknown"),
        (400, {"errors": [{"code": "invalidTaskUUID", "taskType": "getResponse"}]}, "outcome_unknown"),
        (200, {"errors": [{"code": "expired", "taskType": "getResponse", "taskUUID": ID}]}, "outcome_unknown"),
        (404, b"", "outcome_unknown"),
        (401, {"errors": [{"code": "invalidApiKey", "taskType": "authentication"}]}, "not_authorized"),
        (403, b"<html>", "unavailable"),
        (403, b"", "not_authorized"),
        (429, {"errors": [{"code": "rateLimitExceeded", "taskType": "getResponse"}]}, "throttled"),
        (500, {"errors": [{"code": "internal"}]}, "unavailable"),
        (503, b"", "unavailable"),
        (200, {"data": [{**GOOD, "NSFWContent": True}]}, "content_policy"),
        (200, {"data": [GOOD, GOOD]}, "bad_answer"),
        (200, {"data": [{**GOOD, "imageURL": None}]}, "bad_answer"),
        (200, {"data": [_item(status="success")]}, "bad_answer"),
        (200, [], "bad_answer"),
        (200, b"<html>", "bad_answer"),
    ],
)
def test_tasks_without_an_image(status: int, said: Any, code: str) -> None:
    with pytest.raises(ProviderFailure) as caught:
        to_image(_answer(said, status), ID)
    assert (caught.value.code, caught.value.paid) == (code, "unknown")


SUBMIT = {
    "throttle": ("throttled", "no"),
    "throttle_hint": ("throttled", "no"),
    "internal": ("failed", "unknown"),
    "unavailable": ("unavailable", "no"),
    "bad_gateway": ("unavailable", "unknown"),
    "provider_timeout": ("timeout", "unknown"),
    "moderated": ("content_policy", "no"),
    "moderated_by_host": ("content_policy", "no"),
    "out_of_credit": ("out_of_credit", "no"),
    "out_of_credit_unnamed": ("out_of_credit", "no"),
    "not_authorized": ("not_authorized", "no"),
    "edge_page": ("unavailable", "no"),
    "gone": ("model_gone", "no"),
    "invalid": ("invalid_request", "no"),
    "invalid_under_200": ("invalid_request", "no"),
    "single_error": ("invalid_request", "no"),
    "unknown_error": ("failed", "unknown"),
    "nonsense": ("bad_answer", "unknown"),
    "list": ("bad_answer", "unknown"),
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
    "failed_item": "failed",
    "flat_item": "failed",
    "moderated_item": "content_policy",
    "unpaid_item": "out_of_credit",
    "throttled_job": "failed",
    "moderated_job": "content_policy",
    "moderated_image": "content_policy",
    "two_images": "bad_answer",
    "no_address": "bad_answer",
    "private_address": "bad_answer",
    "forgotten": "outcome_unknown",
    "huge_image": "bad_answer",
}
# An image comes of these: late ones, and pictures whose fault is found later.
IMAGE = {"slow", "nothing_yet", "truncated_image", "wrong_size", "html", "empty_image"}
# Accepted and paid for, though the answer was lost: the order's id still leads to the image.
FOUND_AGAIN = ["hang", "drip", "drip_headers", "lost_response", "reset_body", "short_body"]


def test_every_fault_of_the_double_is_tested() -> None:
    assert {*SUBMIT, *COLLECT, *IMAGE} == FakeRunware.faults()


@pytest.mark.parametrize("fault", SUBMIT)
def test_one_call_under_every_fault(
    fault: str, fake: FakeRunware, provider: runware_ai.Runware, waits: list[float]
) -> None:
    fake.inject(fault, times=None)
    with pytest.raises(ProviderFailure) as caught:
        provider.submit(ORDER, 0.4)
    assert (caught.value.code, caught.value.paid) == SUBMIT[fault]
    assert caught.value.retry_after == (3 if fault == "throttle_hint" else None)
    assert KEY not in caught.value.detail
    assert 0 < max(waits) <= 0.4
    assert len(fake.calls) == 1
    if fake.paid:
        assert caught.value.paid == "unknown"


@pytest.mark.parametrize("fault", FOUND_AGAIN)
def test_a_lost_answer_is_found_by_the_order(fault: str, fake: FakeRunware, provider: runware_ai.Runware) -> None:
    fake.inject(fault)
    with pytest.raises(ProviderFailure):
        provider.submit(ORDER, 0.4)
    painted = collected(provider, Ticket(ORDER.id))
    assert (painted.seed, painted.cost_usd) == (7, 0.0038)
    assert len(fake.paid) == len(fake.works) == 1


def test_an_order_that_never_arrived_is_not_known(fake: FakeRunware, provider: runware_ai.Runware) -> None:
    fake.inject("reset")
    with pytest.raises(ProviderFailure):
        provider.submit(ORDER, 5)
    with pytest.raises(ProviderFailure) as caught:
        provider.collect(Ticket(ORDER.id), ORDER, 5)
    assert caught.value.code == "outcome_unknown"
    assert fake.paid == []
    assert collected(provider, provider.submit(ORDER, 5)).data


@pytest.mark.parametrize("fault", COLLECT)
def test_work_that_ends_without_an_image(fault: str, fake: FakeRunware, provider: runware_ai.Runware) -> None:
    fake.inject(fault)
    ticket = provider.submit(ORDER, 5)
    with pytest.raises(ProviderFailure) as caught:
        provider.collect(ticket, ORDER, 5)
    assert (caught.value.code, caught.value.paid) == (COLLECT[fault], "unknown")
    assert len(fake.paid) == 1


@pytest.mark.parametrize("fault", sorted(IMAGE))
def test_work_that_ends_with_one(fault: str, fake: FakeRunware, provider: runware_ai.Runware) -> None:
    fake.inject(fault)
    ticket = provider.submit(ORDER, 5)
    assert ticket == Ticket(ORDER.id)
    painted = collected(provider, ticket)
    assert (painted.seed, painted.cost_usd) == (7, 0.0038)
    assert len(fake.works) == 1


@pytest.mark.parametrize("fault", ["throttle_hint", "unavailable", "bad_gateway", "hang", "drip", "reset"])
@pytest.mark.parametrize("at", ["ask", "image"])
def test_what_passes_is_asked_again(fault: str, at: str, fake: FakeRunware, provider: runware_ai.Runware) -> None:
    ticket = provider.submit(ORDER, 5)
    fake.inject(fault, times=None, at=at)
    with pytest.raises(ProviderFailure) as caught:
        provider.collect(ticket, ORDER, 0.4)
    throttled = at == "ask" and fault == "throttle_hint"
    assert (caught.value.code, caught.value.paid) == ("throttled" if throttled else "unavailable", "unknown")
    fake.clear()
    assert collected(provider, ticket).data
    assert len(fake.works) == 1


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_a_strict_service_takes_every_order(card: ModelCard, fake: FakeRunware, provider: runware_ai.Runware) -> None:
    from PIL import Image

    assert card.sides
    steps = 9 if "steps" in card.honours else None
    cfg = 2.5 if "cfg" in card.honours else None
    for n, fmt in enumerate(card.formats):
        size = (card.sides.min, 1024) if n else (1024, card.sides.min)
        order = ImageTask(card, "ein Käfer 🐞", 5 + n, size, steps=steps, cfg=cfg, format=fmt, id=str(uuid.uuid4()))
        painted = collected(provider, provider.submit(order, 5))
        assert painted.seed == 5 + n
        with Image.open(io.BytesIO(painted.data)) as picture:
            assert (str(picture.format).lower(), picture.size) == (fmt, size)
    most = ImageTask(card, "x" * card.prompt_max, card.seed_max, (1024, 1024), id=str(uuid.uuid4()))
    if card.references:
        most = replace(most, reference=b"\x89PNG" * 1000, reference_type="image/png")
    provider.submit(most, 5)
    least = ImageTask(card, "x", card.seed_min, (1024, 1024), id=str(uuid.uuid4()))
    provider.submit(least, 5)
    assert len(fake.paid) == len(fake.works) == len(card.formats) + 2


def test_it_is_a_ticket_provider(provider: runware_ai.Runware) -> None:
    assert isinstance(provider, TicketProvider)
    assert provider.client_chooses_id
    assert all(card.call == "ticket" for card in CARDS)

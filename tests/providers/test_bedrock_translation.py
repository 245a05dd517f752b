"""Requests to Bedrock and the reading of its answers, as comparisons of plain values."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError
from PIL import Image

from lambdas.domain import catalogue
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.request import ImageTask
from lambdas.providers.bedrock import STRENGTH, to_failure, to_image, to_lost, to_payload

CORE = catalogue.cards_of("bedrock")[0]


def test_payload_with_everything() -> None:
    order = ImageTask(CORE, "a cat", 7, (1344, 768), ratio="16:9", negative_prompt="dogs", format="jpeg")
    assert to_payload(order) == {
        "prompt": "a cat",
        "negative_prompt": "dogs",
        "aspect_ratio": "16:9",
        "seed": 7,
        "output_format": "jpeg",
    }


def test_payload_with_the_least() -> None:
    order = ImageTask(CORE, "a cat", 4294967295, (1024, 1024), ratio="1:1", negative_prompt="")
    assert to_payload(order) == {
        "prompt": "a cat",
        "aspect_ratio": "1:1",
        "seed": 4294967295,
        "output_format": "png",
    }


def test_payload_never_holds_what_no_model_knows() -> None:
    order = ImageTask(CORE, "a cat", 1, (1024, 1024), ratio="1:1", steps=30, cfg=7.0, id="job 1")
    assert set(to_payload(order)) == {"prompt", "seed", "output_format", "aspect_ratio"}


IMAGE = base64.b64encode(b"a picture").decode()


@pytest.mark.parametrize(
    ("seeds", "seed"),
    [
        ([2130420379], 2130420379),
        (["2130420379"], 2130420379),
        ([], None),
        (None, None),
        (["x"], None),
        ([True], None),
        ([-1], None),
        ([4294967296], None),
        (["99999999999999"], None),
        ("12", None),
    ],
)
def test_image_and_its_seed(seeds: Any, seed: int | None) -> None:
    painted = to_image(json.dumps({"seeds": seeds, "finish_reasons": [None], "images": [IMAGE]}).encode())
    assert (painted.data, painted.seed) == (b"a picture", seed)


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ({"finish_reasons": ["Filter reason: prompt"]}, "content_policy", "refused the prompt"),
        ({"finish_reasons": ["Filter reason: output image"]}, "content_policy", "refused the output image"),
        ({"finish_reasons": ["Filter reason: input image"]}, "content_policy", "refused the input image"),
        ({"finish_reasons": ["Filter reason"]}, "content_policy", "refused the request"),
        ({"finish_reasons": "Filter reason: prompt"}, "content_policy", "refused the prompt"),
        ({"finish_reasons": ["Filter reason: prompt"], "images": [IMAGE]}, "content_policy", "prompt"),
        ({"finish_reasons": [None, "Filter reason: prompt"], "images": [IMAGE]}, "content_policy", "prompt"),
        ({"finish_reasons": ["Inference error"]}, "failed", "without an image"),
        ({"finish_reasons": ["something new"], "images": [IMAGE]}, "failed", "without an image"),
        ({"finish_reasons": [3]}, "failed", "without an image"),
        ({"errors": ["no"]}, "failed", "errors"),
        ({"finish_reasons": [None]}, "bad_answer", "exactly one"),
        ({"finish_reasons": [None], "images": []}, "bad_answer", "exactly one"),
        ({"finish_reasons": [None], "images": [IMAGE, IMAGE]}, "bad_answer", "exactly one"),
        ({"finish_reasons": [None], "images": IMAGE}, "bad_answer", "exactly one"),
        ({"finish_reasons": [None], "images": ["!!!!AAAA"]}, "bad_answer", "base64"),
        ({"finish_reasons": [None], "images": ["data:image/png;base64," + IMAGE]}, "bad_answer", "base64"),
        ({"finish_reasons": [None], "images": ["ÄÖÜ"]}, "bad_answer", "base64"),
        ({"finish_reasons": [None], "images": [None]}, "bad_answer", "base64"),
        ({"finish_reasons": [None], "images": [""]}, "bad_answer", "empty"),
        ([], "bad_answer", "form"),
        (None, "bad_answer", "form"),
    ],
)
def test_answers_that_are_no_image(answer: Any, code: str, says: str) -> None:
    with pytest.raises(ProviderFailure, match=says) as caught:
        to_image(json.dumps(answer).encode())
    assert (caught.value.code, caught.value.paid) == (code, "unknown")


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\xff\xfe", b'{"images": [', b'{"seeds": [' + b"9" * 5000 + b"]}", b"[" * 100_000]
)
def test_answers_that_are_no_json(body: bytes) -> None:
    with pytest.raises(ProviderFailure) as caught:
        to_image(body)
    assert (caught.value.code, caught.value.paid) == ("bad_answer", "unknown")


def _response(name: str, status: int, message: str = "", **headers: str) -> dict[str, Any]:
    return {
        "Error": {"Code": name, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": headers},
    }


EOL = "This model version has reached the end of its life."
LEGACY = (
    "Access denied. This Model is marked by provider as Legacy and you have not been actively using the model "
    "in the last 30 days."
)
ON_DEMAND = (
    "Invocation of model ID x with on-demand throughput isn't supported."  # AWS writes the apostrophe either way
)


@pytest.mark.parametrize(
    ("name", "status", "message", "code", "paid"),
    [
        ("ThrottlingException", 429, "Too many requests", "throttled", "no"),
        ("ModelNotReadyException", 429, "", "unavailable", "no"),
        ("ServiceUnavailableException", 503, "", "unavailable", "no"),
        ("InternalServerException", 500, "", "failed", "unknown"),
        ("ModelTimeoutException", 408, "", "timeout", "unknown"),
        ("ModelErrorException", 424, "", "failed", "unknown"),
        ("ServiceQuotaExceededException", 400, "", "out_of_credit", "no"),
        ("AccessDeniedException", 403, "not authorized", "not_authorized", "no"),
        ("ValidationException", 400, "", "invalid_request", "no"),
        ("ResourceNotFoundException", 404, "", "model_gone", "no"),
        ("overloaded_error", 529, "", "unavailable", "no"),
        ("ResourceNotFoundException", 404, EOL, "model_gone", "no"),
        ("AccessDeniedException", 403, LEGACY, "model_gone", "no"),
        ("ValidationException", 400, LEGACY, "model_gone", "no"),
        ("ValidationException", 400, "The provided model identifier is invalid.", "model_gone", "no"),
        ("ValidationException", 400, ON_DEMAND, "model_gone", "no"),
        ("ValidationException", 400, ON_DEMAND.replace("'", "\u2019"), "model_gone", "no"),
        ("MPAgreementBeingCreated", 403, "Try again after 15 minutes", "unavailable", "no"),
        ("AccessDeniedException", 403, "MPAgreementBeingCreated", "unavailable", "no"),
        ("AccessDeniedException", 403, "Marketplace Agreement Pending", "unavailable", "no"),
        ("AccessDeniedException", 403, "Marketplace Agreement Failed", "not_authorized", "no"),
        ("ExpiredTokenException", 403, "", "not_authorized", "no"),
        ("UnrecognizedClientException", 403, "", "not_authorized", "no"),
        ("InvalidSignatureException", 401, "", "not_authorized", "no"),
        ("429", 429, "", "throttled", "no"),
        ("404", 404, "", "unavailable", "no"),  # a class of AWS's is a name: this one is a proxy's
        ("408", 408, "", "timeout", "unknown"),
        ("413", 413, "", "unavailable", "no"),
        ("502", 502, "<html>", "unavailable", "unknown"),
        ("503", 503, "<html>", "unavailable", "no"),
        ("504", 504, "", "unavailable", "unknown"),
        ("529", 529, "", "unavailable", "no"),
        ("301", 301, "", "unavailable", "no"),
        ("Brand.New", 500, EOL, "failed", "unknown"),
    ],
)
def test_every_error_has_its_code(name: str, status: int, message: str, code: str, paid: str) -> None:
    failure = to_failure(_response(name, status, message))
    assert (failure.code, failure.paid) == (code, paid)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2.0),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("soon", None),
        ("9" * 9, 3600.0),
        ("Fri, 20 Nov 2026 10:00:07 GMT", 7.0),
    ],
)
def test_retry_after(header: str, seconds: float | None) -> None:
    headers = {"retry-after": header, "date": "Fri, 20 Nov 2026 10:00:00 GMT"}
    assert to_failure(_response("overloaded_error", 529, **headers)).retry_after == seconds


def test_an_error_without_any_content() -> None:
    assert (to_failure({}).code, to_failure({}).paid) == ("unavailable", "unknown")


def test_validation_says_what_was_wrong_and_access_says_no_names() -> None:
    wrong = to_failure(_response("ValidationException", 400, "Malformed input request: " + "x" * 2000))
    assert "Malformed input request" in wrong.detail
    assert len(wrong.detail) < 400
    denied = to_failure(_response("AccessDeniedException", 403, "User: arn:aws:sts::111122223333:assumed-role/x"))
    assert "arn:" not in denied.detail


URL = {"endpoint_url": "https://bedrock.test", "error": "x"}
UNVERIFIED = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"


@pytest.mark.parametrize(
    ("error", "answered", "code", "paid"),
    [
        (aws.ConnectTimeoutError(**URL), False, "unavailable", "no"),
        (aws.EndpointConnectionError(**URL), False, "unavailable", "no"),
        (aws.ProxyConnectionError(proxy_url="http://x", error="x"), False, "unavailable", "no"),
        (aws.SSLError(endpoint_url="https://x", error=UNVERIFIED), False, "unavailable", "no"),
        (aws.SSLError(**URL), False, "outcome_unknown", "unknown"),
        (aws.ConnectionClosedError(**URL), False, "outcome_unknown", "unknown"),
        (aws.ReadTimeoutError(**URL), False, "timeout", "unknown"),
        (aws.ReadTimeoutError(**URL), True, "timeout", "unknown"),
        (aws.HTTPClientError(error="x"), False, "outcome_unknown", "unknown"),
        (aws.ResponseStreamingError(error="x"), True, "outcome_unknown", "unknown"),
        (aws.IncompleteReadError(actual_bytes=1, expected_bytes=2), True, "outcome_unknown", "unknown"),
        (aws.NoCredentialsError(), False, "not_authorized", "no"),
        (aws.CredentialRetrievalError(provider="x", error_msg="x"), False, "not_authorized", "no"),
        (aws.NoRegionError(), False, "not_authorized", "no"),
        (ResponseParserError("x"), False, "outcome_unknown", "unknown"),
        (ConnectionResetError(), False, "outcome_unknown", "unknown"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_calls_without_an_answer(error: Exception, answered: bool, code: str, paid: str) -> None:
    failure = to_lost(error, answered=answered)
    assert (failure.code, failure.paid) == (code, paid)


def _png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, "PNG")
    return out.getvalue()


def test_a_picture_to_start_from() -> None:
    sd35 = next(c for c in catalogue.cards_of("bedrock") if "image-to-image" in c.capabilities)
    image = _png(64, 90)
    order = ImageTask(sd35, "a cat", 7, (1344, 768), ratio="16:9", negative_prompt="dogs", reference=image)
    assert to_payload(order) == {
        "prompt": "a cat",
        "negative_prompt": "dogs",
        "mode": "image-to-image",
        "image": base64.b64encode(image).decode(),
        "strength": STRENGTH,
        "seed": 7,
        "output_format": "png",
    }
    assert 0 < STRENGTH < 1

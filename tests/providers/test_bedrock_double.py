"""The Bedrock double is as strict as AWS."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from typing import Any

import pytest

from lambdas import USER_AGENT
from lambdas.domain import catalogue
from tests.doubles.bedrock import editing, models
from tests.doubles.bedrock.service import FakeBedrock

CORE = "stability.stable-image-core-v1:1"
GOOD = {"prompt": "a cat", "aspect_ratio": "1:1", "seed": 1, "output_format": "png"}


def _call(
    fake: FakeBedrock, model: str = CORE, body: Any = GOOD, path: str = "", region: str = "us-west-2", **headers: str
) -> tuple[int, str]:
    now = datetime.now(UTC)
    sent = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential=AKIA/{now:%Y%m%d}/{region}/bedrock/aws4_request, "
        f"SignedHeaders=accept;content-type;host;x-amz-date, Signature={'0' * 64}",
        "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}",
        "Content-Type": "application/json",
        "Accept": "application/json",
        "User-Agent": f"Boto3 {USER_AGENT}",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = fake.url + (path or f"/model/{model.replace(':', '%3A')}/invoke")
    request = urllib.request.Request(url, raw, {name: value for name, value in sent.items() if value})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["x-amzn-ErrorType"]


def test_a_good_call(fake: FakeBedrock) -> None:
    assert _call(fake) == (200, "")
    assert [(call.model, call.seed, call.paid) for call in fake.calls] == [(CORE, 1, True)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        b"",
        b"{",
        b'{"prompt": NaN}',
        {**GOOD, "prompt": ""},
        {**GOOD, "prompt": "x" * 10_001},
        {**GOOD, "prompt": 3},
        {**GOOD, "steps": 30},
        {**GOOD, "cfg_scale": 7},
        {**GOOD, "width": 512},
        {**GOOD, "mode": "text-to-image"},
        {**GOOD, "aspect_ratio": "4:3"},
        {**GOOD, "seed": -1},
        {**GOOD, "seed": 4294967296},
        {**GOOD, "seed": True},
        {**GOOD, "seed": "1"},
        {**GOOD, "output_format": "webp"},
        {**GOOD, "output_format": "PNG"},
        {**GOOD, "style_preset": "impressionist"},
        {**GOOD, "negative_prompt": None},
    ],
)
def test_bodies_that_aws_would_refuse(fake: FakeBedrock, body: Any) -> None:
    assert _call(fake, body=body) == (400, "ValidationException")
    assert fake.paid == []


def test_sd35_has_its_own_rules(fake: FakeBedrock) -> None:
    model = "stability.sd3-5-large-v1:0"
    assert _call(fake, model, {**GOOD, "output_format": "webp", "mode": "text-to-image"})[0] == 200
    assert _call(fake, model, {**GOOD, "seed": 4294967295})[0] == 400
    assert _call(fake, model, {**GOOD, "mode": "image-to-image"})[0] == 400
    assert _call(fake, model, {**GOOD, "image": "AAAA"})[0] == 400


@pytest.mark.parametrize("model", sorted(models.ENDED))
def test_ended_models(fake: FakeBedrock, model: str) -> None:
    assert _call(fake, model) == (404, "ResourceNotFoundException")


def test_the_catalogue_and_the_double_agree() -> None:
    served = models.SCHEMAS | editing.SCHEMAS
    assert {card.id for card in catalogue.cards_of("bedrock")} == set(served)
    assert {m.id for m in catalogue.RETIRED if m.provider == "bedrock"} == models.ENDED


@pytest.mark.parametrize("model", ["stability.stable-image-inpaint-v1:0", "stability.unheard-of-v1:0", "x"])
def test_models_that_do_not_answer_so(fake: FakeBedrock, model: str) -> None:
    assert _call(fake, model) == (400, "ValidationException")


def test_region_signature_and_form(fake: FakeBedrock) -> None:
    assert _call(fake, region="us-east-1") == (400, "ValidationException")
    assert _call(fake, Authorization="") == (403, "MissingAuthenticationTokenException")
    assert _call(fake, Authorization="Bearer x") == (403, "MissingAuthenticationTokenException")
    assert _call(fake, X_Amz_Date="20200101T000000Z") == (403, "InvalidSignatureException")
    assert _call(fake, Content_Type="text/plain") == (400, "ValidationException")
    assert _call(fake, Accept="image/png") == (400, "ValidationException")
    assert _call(fake, path=f"/model/{CORE}/invoke") == (404, "UnknownOperationException")
    assert _call(fake, path="/model/x/count-tokens") == (404, "UnknownOperationException")


def test_too_large_a_body(fake: FakeBedrock) -> None:
    try:
        status, _ = _call(fake, body=b" " * 25_000_001)
    except (urllib.error.URLError, ConnectionError):
        return  # the server hung up on the sender, as it may
    assert status == 413


def test_faults_and_ledger_over_http(fake: FakeBedrock) -> None:
    order = urllib.request.Request(fake.url + "/_faults", b'{"fault": "throttle", "times": 1}', method="POST")
    with urllib.request.urlopen(order, timeout=10):
        pass
    assert _call(fake) == (429, "ThrottlingException")
    assert _call(fake) == (200, "")
    with urllib.request.urlopen(fake.url + "/_ledger", timeout=10) as answer:
        ledger = json.load(answer)
    assert [(call["fault"], call["paid"]) for call in ledger["calls"]] == [("throttle", False), (None, True)]
    assert ledger["paid"] == 1
    with pytest.raises(ValueError, match="unknown fault"):
        fake.inject("earthquake")

"""How bodies are read (contract 1.4, 12.12): encodings, byte order marks, and invalid JSON."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from tests.api.client import Answer, Client
from tests.support import forms

FOX = {"prompt": "A fox"}
PLAIN = json.dumps(FOX).encode()
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}  # that of `curl -d`


def packed(data: bytes) -> bytes:
    """In gzip, with no moment in it, so that the tests have the same names in every process."""
    return gzip.compress(data, mtime=0)


def sent(body: bytes, **headers: str) -> Answer:
    return Client()("POST", "/generate", body, JSON | {name.replace("_", "-"): v for name, v in headers.items()})


@pytest.mark.parametrize(
    "body",
    [
        packed(PLAIN),
        packed(PLAIN) + packed(b" "),
        b"".join(packed(PLAIN[at : at + 1]) for at in range(15)) + packed(PLAIN[15:]),
    ],
)
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "identity, gzip"])
def test_12_12_a_body_in_gzip_is_read(body: bytes, coding: str) -> None:
    assert sent(body, Content_Encoding=coding).status == 200


@pytest.mark.parametrize("coding", ["", "identity", "Identity, identity"])
def test_12_12_a_body_without_a_coding_is_read(coding: str) -> None:
    assert sent(PLAIN, Content_Encoding=coding).status == 200


@pytest.mark.parametrize("coding", ["deflate", "br", "zstd", "gzip, gzip", "gzip, br", "x", "gzip;q=1"])
def test_12_12_any_other_coding_is_415_and_names_those_that_are_read(coding: str) -> None:
    answer = sent(packed(PLAIN), Content_Encoding=coding)
    assert (answer.status, answer.headers["Accept-Encoding"]) == (415, "gzip, identity")
    assert coding in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (PLAIN, "not valid gzip"),
        (zlib.compress(PLAIN), "not valid gzip"),
        (packed(PLAIN)[:-3], "cut off"),
        (packed(PLAIN) + b"tail", "not valid gzip"),
        (packed(b"") * 17, "16 members"),
        (b"", "empty"),
        (packed(b""), "empty"),
    ],
)
def test_12_12_what_is_no_gzip_says_so(body: bytes, said: str) -> None:
    answer = sent(body, Content_Encoding="gzip")
    assert (answer.status, answer.json()["code"]) == (400, "malformed_body")
    assert said in answer.json()["detail"]


def test_12_12_a_body_that_grows_beyond_the_gateways_limit_is_413() -> None:
    largest = PLAIN + b" " * (10 * 1024 * 1024 - len(PLAIN))
    assert sent(packed(largest), Content_Encoding="gzip").status == 200
    assert sent(packed(largest + b" "), Content_Encoding="gzip").status == 413
    assert sent(packed(largest) + packed(b" "), Content_Encoding="gzip").status == 413


def test_12_12_a_form_may_be_in_gzip() -> None:
    body, headers = forms.form({"prompt": "a beach"})
    answer = Client()("POST", "/v1/backgrounds", packed(body), headers | {"Content-Encoding": "gzip"})
    assert [error["field"] for error in answer.json()["errors"]] == ["file"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"prompt": "x",}', "trailing comma at line 1 column 16"),
        (b'{\n "prompt": "a\nb"}', "control character"),
        (b'{"prompt": "\\ud83e"}', "a leading surrogate without its trailing one at line 1 column 19"),
        (b'{"prompt": "x", "seed": ' + b"9" * 5000 + b"}", "number out of range at line 1 column"),
        (b'{"prompt": "\xff"}', "invalid unicode code point at line 1 column 13"),
        (b'{"prompt": "x"} y', "trailing characters at line 1 column 17"),
        (b"{prompt: 1}", "key must be a string at line 1 column 2"),
        (b'{"prompt": [' + b"[" * 5000, "recursion limit exceeded at line 1"),
        (b'{\n\n  "prompt": fox}', "line 3 column"),
    ],
)
@pytest.mark.parametrize("headers", [JSON, FORM, {}])
def test_12_12_json_that_does_not_parse_says_why_and_where(body: bytes, reason: str, headers: dict[str, str]) -> None:
    answer = Client()("POST", "/generate", body, headers)
    assert (answer.status, answer.json()["code"]) == (400, "malformed_body")
    assert reason in answer.json()["detail"]


def test_12_12_json_in_another_encoding_says_which_is_taken() -> None:
    answer = sent('{"prompt": "x"}'.encode("utf-16"))
    assert answer.json()["detail"] == "the body is not valid JSON in UTF-8: expected value at line 1 column 1"


def test_12_12_a_byte_order_mark_is_passed_over() -> None:
    assert sent(b"\xef\xbb\xbf" + PLAIN).status == 200
    assert sent(b"\xef\xbb\xbf").json()["detail"].startswith("the body is empty")


def test_1_4_a_form_that_is_no_json_says_what_this_route_takes() -> None:
    answer = Client()("POST", "/generate", b"prompt=a+fox", FORM)
    assert (answer.status, "Content-Type: application/json" in answer.json()["detail"]) == (415, True)


def test_1_4_a_type_that_is_not_taken_names_both_that_are() -> None:
    answer = Client()("POST", "/v1/backgrounds", b"\x89PNG", {"Content-Type": "image/png"})
    assert answer.status == 415
    assert "application/json or multipart/form-data" in answer.json()["detail"]
    assert "multipart" not in Client()("POST", "/v1/generate", b"x", {"Content-Type": "image/png"}).json()["detail"]


def test_1_4_a_file_in_another_field_is_told_where_it_goes() -> None:
    body = forms.part("image", b"\x89PNG", "p.png") + f"--{forms.BOUNDARY}--\r\n".encode()
    answer = Client()("POST", "/v1/backgrounds", body, forms.headers())
    assert answer.status == 400
    assert answer.json()["errors"] == [{"field": "image", "message": "unknown field; the photo goes into `file`"}]


def test_12_12_a_form_that_does_not_parse_says_where() -> None:
    answer = Client()("POST", "/v1/backgrounds", b"--other\r\n\r\n", forms.headers())
    assert (answer.status, "at byte 2" in answer.json()["detail"]) == (400, True)


def test_1_6_a_slash_at_the_end_makes_no_other_request() -> None:
    client = Client()
    first = client("POST", "/generate", FOX, {"Idempotency-Key": "k"})
    again = client("POST", "/generate/", FOX, {"Idempotency-Key": "k"})
    assert (first.status, again.status) == (200, 200)
    assert again.json()["generation_id"] == first.json()["generation_id"]

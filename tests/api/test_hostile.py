"""Hostile bodies, paths and headers: each gets a 4xx in the contract's format, never a 5xx."""

from __future__ import annotations

import json

import pytest

from tests.api.client import Client

DEEP = 100_000
BODIES: dict[str, bytes] = {
    "empty": b"",
    "spaces": b"   ",
    "not json": b"{prompt: x}",
    "cut": b'{"prompt": "x"',
    "two documents": b'{"prompt": "x"}{"prompt": "y"}',
    "not utf-8": b'{"prompt": "\xff\xfe"}',
    "utf-16": '{"prompt": "x"}'.encode("utf-16"),
    "lone surrogate": b'{"prompt": "\\ud800"}',
    "nul": b"\x00" * 100,
    "deep array": b"[" * DEEP + b"]" * DEEP,
    "deep object": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep inside a field": b'{"prompt": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep unknown field": b'{"prompt": "x", "a": ' + b"[" * 150 + b"]" * 150 + b"}",
    "5000 digits": b'{"prompt": "x", "seed": ' + b"9" * 5000 + b"}",
    "5000 digit width": b'{"prompt": "x", "width": ' + b"8" * 5000 + b"}",
    "nan": b'{"prompt": "x", "cfg": NaN}',
    "infinity": b'{"prompt": "x", "cfg": Infinity}',
    "1e999": b'{"prompt": "x", "cfg": 1e999}',
    "null": b"null",
    "true": b"true",
    "number": b"7",
    "mass assignment": b'{"prompt": "x", "tenant": "umbrella", "status": "completed", "cost_usd": -1}',
    "proto": b'{"prompt": "x", "__proto__": {"a": 1}}',
    "many fields": json.dumps({"prompt": "x"} | {f"f{i}": i for i in range(5000)}).encode(),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("path", ["/generate", "/generate-image", "/v1/generate"])
def test_a_hostile_body_is_400(name: str, path: str) -> None:
    answer = Client()("POST", path, BODIES[name])
    assert answer.status == 400, answer.body[:300]
    body = answer.json()
    assert body["code"] in ("malformed_body", "invalid_request")
    assert len(answer.body) < 8000


@pytest.mark.parametrize(
    "media_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=x",
        "image/png",
        "\udcff",
        ";;;",
    ],
)
def test_a_strange_media_type_is_a_4xx(media_type: str) -> None:
    answer = Client()("POST", "/generate", b"--x\r\n\r\n--x--", {"Content-Type": media_type})
    assert answer.status in (400, 415)


def test_wrong_base64_in_the_event_is_400() -> None:
    from lambdas.api import app

    client = Client()
    event = {
        "path": "/generate",
        "httpMethod": "POST",
        "headers": {"content-type": "application/json"},
        "requestContext": {"requestId": "r", "authorizer": {"auth": "ok", "tenant": "acme"}},
        "body": "!!!!AAAA",
        "isBase64Encoded": True,
    }
    assert app.handle(event, 29_000, client.deps, client.settings)["statusCode"] == 400


@pytest.mark.parametrize(
    "path",
    [
        "/download/" + "a" * 5000,
        "/download/%00",
        "/download/..%2F..%2Fetc%2Fpasswd",
        "/download/../../etc/passwd",
        "/unified/jobs/%F0%9F%A6%8A",
        "/unified/jobs/00000000-0000-0000-0000-000000000000",
        "//generate",
        "/generate/",
        "/unified/jobs/a/b/c",
        "/files/im_0123456789abcdef.png;x=1",
        "/storage/images/../default/demo/x.png",
        "/storage/images/a/b/c?w=" + "9" * 5000,
        "/%",
        "/{proxy+}",
    ],
)
def test_a_strange_path_is_a_4xx(path: str) -> None:
    assert 400 <= Client()("GET", path).status < 500


@pytest.mark.parametrize("cursor", ["x", "%00", "a" * 500, "00000000-0000-0000-0000-000000000000", "💣"])
def test_a_made_up_cursor_never_breaks(cursor: str) -> None:
    assert Client()("GET", f"/unified/jobs?cursor={cursor}").status in (200, 400)


def test_an_event_without_anything_is_answered() -> None:
    from lambdas.api import app

    client = Client()
    assert app.handle({}, 29_000, client.deps, client.settings)["statusCode"] == 404

"""The emulator's gate: requests signed with the folder's keys pass; known keys, web pages and other hosts do not."""

import asyncio
import datetime
import json
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.auth import S3SigV4PostAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.emulator import gate
from local.emulator.gate import Gate, Receive
from local.emulator.keys import Keys

URL = "http://127.0.0.1:4566"
OURS = Keys("AKIA0123456789ABCDEF", "s" * 43)
ROOT = Credentials(OURS.access_key_id, OURS.secret)
FUNCTION = Credentials(*OURS.of_function("arn:aws:lambda:us-east-1:000000000000:function:api", "arn:aws:iam::0:role/r"))
KNOWN = Credentials("test", "test")  # what every emulator of this kind takes by default
ACCOUNT = Credentials("000000000000", "test")
EVIL = {"Origin": "http://evil.example"}


def ask(
    method: str = "GET", path: str = "/", headers: Mapping[str, str] | None = None, body: bytes = b"", query: str = ""
) -> tuple[int, bytes, list[Any]]:
    """Status and body of the answer, and what of the request reached the application behind."""
    seen, sent = [], []

    async def behind(scope: Any, receive: Receive, send: Any) -> None:
        message = await receive()
        seen.append((scope, message["body"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    door = Gate(behind, OURS)
    door.admit(FUNCTION.access_key, FUNCTION.secret_key, FUNCTION.token)
    given = dict(headers or {})
    given.setdefault("Host", "127.0.0.1:4566")
    fields = [(k.lower().encode(), v.encode()) for k, v in given.items()]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": fields}
    asyncio.run(door({**scope, "query_string": query.encode()}, receive, send))
    assert bool(seen) == (sent[0]["status"] == 200)
    return sent[0]["status"], sent[1]["body"], seen


def signed(
    credentials: Credentials,
    method: str = "POST",
    path: str = "/",
    body: bytes = b"Action=ListQueues",
    service: str = "sqs",
    **headers: str,
) -> tuple[int, bytes, list[Any]]:
    request = AWSRequest(method, URL + path, headers=headers, data=body)
    SigV4Auth(credentials, service, "us-east-1").add_auth(request)
    return ask(method, path, dict(request.headers.items()), body)


def linked(
    credentials: Credentials,
    method: str = "GET",
    path: str = "/bucket-1/images/a.png",
    expires: int = 300,
    service: str = "s3",
    **headers: str,
) -> tuple[int, bytes, list[Any]]:
    request = AWSRequest(method, URL + path)
    S3Query(credentials, service, "us-east-1", expires).add_auth(request)
    return ask(method, path, headers, query=request.url.partition("?")[2])


class S3Query(SigV4QueryAuth):  # type: ignore[misc]
    def payload(self, request: AWSRequest) -> str:
        return "UNSIGNED-PAYLOAD"


def form(credentials: Credentials, **headers: str) -> tuple[int, bytes, list[Any]]:
    fields = {"key": "uploads/1"}
    request = AWSRequest("POST", f"{URL}/bucket-1")
    request.context["s3-presign-post-fields"] = fields
    request.context["s3-presign-post-policy"] = {"conditions": [], "expiration": "2099-01-01T00:00:00Z"}
    S3SigV4PostAuth(credentials, "s3", "us-east-1").add_auth(request)
    parts = {**fields, **request.context["s3-presign-post-fields"]}
    body = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in parts.items()
    )
    body += b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n\x89PNG\r\n--b--\r\n'
    return ask("POST", "/bucket-1", {"Content-Type": "multipart/form-data; boundary=b", **headers}, body)


@pytest.mark.parametrize("who", [ROOT, FUNCTION], ids=["launcher", "function"])
def test_our_own_processes_come_in_and_their_body_with_them(who: Credentials) -> None:
    status, _, seen = signed(who)
    assert status == 200
    assert seen[0][1] == b"Action=ListQueues"
    assert linked(who)[0] == 200
    assert form(who)[0] == 200


@pytest.mark.parametrize(
    "who",
    [
        KNOWN,
        ACCOUNT,
        Credentials("", "test"),
        Credentials(OURS.access_key_id, "test"),
        Credentials(FUNCTION.access_key, FUNCTION.secret_key),
        Credentials(FUNCTION.access_key, FUNCTION.secret_key, "another token"),
        Credentials(FUNCTION.access_key, "test", FUNCTION.token),
        Credentials(OURS.access_key_id, OURS.secret, "a token that it has not"),
    ],
    ids=["known", "account", "no key", "id", "no token", "other token", "id and token", "token too many"],
)
def test_nobody_else_does(who: Credentials) -> None:
    assert signed(who)[0] == 403
    assert linked(who)[0] == 403
    assert form(who)[0] == 403


@pytest.mark.parametrize(
    ("path", "query", "headers"),
    [
        ("/2015-03-31/functions/", "", {}),
        ("/_aws/execute-api/abc/prod/health", "", {}),
        ("/_ministack/reset", "", {}),
        ("/_local/workers", "", {}),
        ("/bucket-1/images/a.png", "", {}),
        ("/bucket-1/images/a.png", "AWSAccessKeyId=test&Signature=x&Expires=9999999999", {}),
        ("/", "", {"Authorization": "AWS test:signature"}),
        ("/", "", {"Authorization": "Bearer k"}),
        ("/", "", {"Authorization": "AWS4-HMAC-SHA256 Credential=test/20250101/us-east-1/lambda/aws4_request"}),
        ("/", "X-Amz-Signature=00", {}),
        ("/", "&".join("a" for _ in range(5)) + "&X-Amz-Signature=%ff", {}),
    ],
)
def test_what_is_not_signed_stays_out(path: str, query: str, headers: Mapping[str, str]) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        assert ask(method, path, headers, query=query)[0] == 403


def test_a_signature_is_of_one_request() -> None:
    request = AWSRequest("POST", f"{URL}/", data=b"one")
    SigV4Auth(ROOT, "lambda", "us-east-1").add_auth(request)
    headers = dict(request.headers.items())
    assert ask("POST", "/", headers, b"one")[0] == 200
    assert ask("POST", "/", headers, b"two")[0] == 403
    assert ask("PUT", "/", headers, b"one")[0] == 403
    assert ask("POST", "/other", headers, b"one")[0] == 403
    assert ask("POST", "/", headers, b"one", query="a=b")[0] == 403


def test_an_old_signature_and_an_expired_link_stay_out(monkeypatch: pytest.MonkeyPatch) -> None:
    yesterday = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - datetime.timedelta(days=1)
    assert linked(ROOT, expires=8 * 86_400)[0] == 403
    assert linked(ROOT, expires=-1)[0] == 403
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: yesterday)
    assert signed(ROOT)[0] == 403
    assert linked(ROOT)[0] == 403
    assert linked(ROOT, expires=2 * 86_400)[0] == 200


@pytest.mark.parametrize("headers", [EVIL, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}])
def test_a_page_gets_what_was_signed_for_it_and_nothing_else(headers: dict[str, Any]) -> None:
    assert linked(FUNCTION, **headers)[0] == 200
    assert linked(FUNCTION, "HEAD", **headers)[0] == 200
    assert form(FUNCTION, **headers)[0] == 200
    assert linked(FUNCTION, "PUT", **headers)[0] == 403
    assert linked(FUNCTION, "DELETE", **headers)[0] == 403
    assert signed(ROOT, **headers)[0] == 403, "even with our signature"


def test_a_browser_that_asks_ahead() -> None:
    def ahead(method: str, path: str) -> int:
        headers = {**EVIL, "Access-Control-Request-Method": method}
        return ask("OPTIONS", path, headers)[0]

    assert ahead("GET", "/bucket-1/images/a.png") == 200
    assert ahead("POST", "/bucket-1") == 200
    assert ahead("POST", "/2015-03-31/functions/f/invocations") == 403
    assert ahead("DELETE", "/bucket-1/images/a.png") == 403
    assert ahead("GET", "/_local/workers") == 403


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4566", "localhost.evil.example", "127.0.0.1@evil", ""])
def test_another_name_is_refused_though_all_is_signed(host: str) -> None:
    assert signed(ROOT, Host=host)[0] == 403
    assert ask(path="/_ministack/health", headers={"Host": host, "X-Local-Word": OURS.word})[0] == 403


def test_the_word_opens_the_launchers_addresses_alone_and_goes_no_further() -> None:
    for path in ("/_ministack/health", "/_local/workers", "/_aws/execute-api/abc/prod/generate"):
        status, _, seen = ask("POST", path, {"X-Local-Word": OURS.word, **EVIL}, b"x")
        assert status == 200
        assert gate.WORD not in [k for k, _ in seen[0][0]["headers"]]
        assert ask("POST", path, {"X-Local-Word": OURS.word[:-1]})[0] == 403
    for path in ("/", "/_ministack/config", "/2015-03-31/functions/", "/_aws/sqs/messages"):
        assert ask("GET", path, {"X-Local-Word": OURS.word})[0] == 403


def test_our_own_signature_opens_no_address_of_the_launchers() -> None:
    assert signed(ROOT, "GET", "/_ministack/config", b"", "s3")[0] == 403


def test_a_refusal_is_told_in_the_sdks_form() -> None:
    status, body, _ = ask()
    assert (status, json.loads(body)["__type"]) == (403, "AccessDeniedException")


def test_a_websocket_is_closed() -> None:
    sent = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Gate(None, OURS)({"type": "websocket"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]

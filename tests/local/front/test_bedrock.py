"""The pass-through to the real Bedrock: signed with the user's credentials, and closed without the token."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local import settings
from local.front.bedrock import PREFIX, BedrockPassThrough, token
from local.front.doors import Doors
from local.front.front import Front
from local.front.gateway import Answer, Gateway
from local.settings import ROOT
from local.stack import Stack
from tests.e2e import http
from tests.local import standin
from tests.support.quiet_handler import QuietHandler

USER = {"AWS_ACCESS_KEY_ID": "AKIAUSER", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "session"}
SCOPE = b"AWS4-HMAC-SHA256 Credential=ASIAFUNCTION/20260101/us-west-2/bedrock/aws4_request, Signature=0"


class Upstream(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Bedrock)
        self.seen: list[tuple[str, dict[str, str], bytes]] = []


class Bedrock(QuietHandler):
    """Writes down what it gets; answers 200, or the status that the body asks for."""

    server: Upstream

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        status = json.loads(body).get("status", 200)
        answer = json.dumps({"images": ["aGk="]} if status == 200 else {"message": "slow down"}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("x-amzn-requestid", "r-1")
        if status != 200:
            self.send_header("x-amzn-errortype", "ThrottlingException")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def passes(
    user: Mapping[str, str],
    upstream: Upstream,
    path: str = "/model/stability.x%3A1/invoke",
    authorization: bytes = SCOPE,
    word: str = "word",
    body: bytes = b"{}",
) -> Answer:
    address = f"http://127.0.0.1:{upstream.server_port}/{{region}}"
    through = BedrockPassThrough("word", user, address)
    headers = [(b"authorization", authorization), (b"content-type", b"application/json"), (b"x-other", b"no")]
    return asyncio.run(through.answer("POST", f"{PREFIX}{word}{path}", headers, body))


def test_a_request_goes_on_under_the_users_name(upstream: Upstream) -> None:
    answer = passes(USER, upstream)
    assert (answer.status, json.loads(answer.body)) == (200, {"images": ["aGk="]})
    path, headers, body = upstream.seen[0]
    assert path == "/us-west-2/model/stability.x%3A1/invoke"
    assert "Credential=AKIAUSER/" in headers["authorization"]
    assert "/us-west-2/bedrock/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"] == "session"
    assert (headers["content-type"], body) == ("application/json", b"{}")
    assert "x-other" not in headers


def test_a_bedrock_key_is_used_as_it_is(upstream: Upstream) -> None:
    passes({"AWS_BEARER_TOKEN_BEDROCK": "b"}, upstream)
    assert upstream.seen[0][1]["authorization"] == "Bearer b"


def test_errors_pass_with_their_type(upstream: Upstream) -> None:
    answer = passes(USER, upstream, body=b'{"status": 429}')
    assert answer.status == 429
    assert (b"x-amzn-errortype", b"ThrottlingException") in answer.headers


@pytest.mark.parametrize(
    ("arguments", "status"),
    [({"word": "guess"}, 404), ({"word": "word-and-more"}, 404), ({"authorization": b""}, 403)],
)
def test_strangers_are_refused(upstream: Upstream, arguments: dict[str, Any], status: int) -> None:
    assert passes(USER, upstream, **arguments).status == status
    assert not upstream.seen


def test_missing_credentials_are_said(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    answer = passes({}, upstream)
    assert answer.status == 403
    assert "AWS_PROFILE" in json.loads(answer.body)["message"]
    assert b"could not be read" in passes({"AWS_PROFILE": "nobody"}, upstream).body


def test_an_unreachable_bedrock_is_said(upstream: Upstream) -> None:
    through = BedrockPassThrough("word", USER, "http://127.0.0.1:1/{region}")
    answer = asyncio.run(through.answer("POST", f"{PREFIX}word/model/x/invoke", [(b"authorization", SCOPE)], b"{}"))
    assert answer.status == 503


def test_the_word_is_kept_and_private(tmp_path: Path) -> None:
    word = token(tmp_path)
    assert len(word) > 20
    assert token(tmp_path) == word
    assert (tmp_path / "bedrock.token").stat().st_mode & 0o77 == 0


@pytest.mark.e2e
def test_an_sdk_client_of_a_function_gets_through(upstream: Upstream, tmp_path: Path) -> None:
    environment = {**USER, "BEDROCK": "1", "APP_PORT": "0", "DATA_DIR": str(tmp_path / "data")}
    service = standin.write(tmp_path / "service")
    with Stack(settings.load(environment, ROOT / "none"), **service) as stack:
        assert stack.bedrock
        stack.bedrock.upstream = f"http://127.0.0.1:{upstream.server_port}/{{region}}"
        given = http.get(f"{stack.url}/env").json()
        assert "secret" not in given.values()
        assert "AKIAUSER" not in given.values()
        sdk = boto3.client(
            "bedrock-runtime",
            region_name="us-west-2",
            endpoint_url=given["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"],
            aws_access_key_id="ASIAFUNCTION",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )
        answer = sdk.invoke_model(modelId="stability.stable-image-core-v1:1", body="{}")
        assert json.load(answer["body"]) == {"images": ["aGk="]}
        assert upstream.seen[0][0] == "/us-west-2/model/stability.stable-image-core-v1%3A1/invoke"
        with pytest.raises(ClientError, match="ThrottlingException"):
            sdk.invoke_model(modelId="m", body='{"status": 429}')
        assert http.post(f"{stack.url}{PREFIX}guess/model/x/invoke").status_code == 404


def test_the_way_is_shut_when_bedrock_is_off() -> None:
    doors = Doors(8000, [], [], keyed=False)
    front = Front("http://127.0.0.1:1", "prod", "word", Gateway({"Resources": {}}), doors, None, lambda *_: None)
    sent = []

    async def ask() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": f"{PREFIX}x/model/m/invoke",
            "headers": [(b"host", b"localhost")],
            "query_string": b"",
        }
        await front(scope, receive, send)

    asyncio.run(ask())
    assert sent[0]["status"] == 504, "an ordinary path, sent to the gateway"

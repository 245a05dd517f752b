"""Malformed requests as raw bytes to a running stack's front: a quick 4xx in the contract's format."""

import json
import os
import socket
import stat
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest

from local import settings
from local.emulator import keys
from local.settings import ROOT
from local.stack import Stack
from tests.e2e import http
from tests.local import standin

pytestmark = pytest.mark.e2e
HOST = b"Host: localhost\r\n"
LONG = b"a" * 100_000
WEBSOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\r\n"
REQUESTS = {
    "absolute form": (400, b"GET http://localhost/health HTTP/1.1\r\n" + HOST),
    "foreign absolute form": (400, b"GET http://evil.example/ HTTP/1.1\r\n" + HOST),
    "asterisk": (400, b"OPTIONS * HTTP/1.1\r\n" + HOST),
    "no slash": (400, b"GET health HTTP/1.1\r\n" + HOST),
    "connect": (405, b"CONNECT localhost:443 HTTP/1.1\r\n" + HOST),
    "websocket": (400, b"GET /health HTTP/1.1\r\n" + HOST + WEBSOCKET),
    "long address": (414, b"GET /" + LONG + b" HTTP/1.1\r\n" + HOST),
    "long query": (414, b"GET /x?q=" + LONG + b" HTTP/1.1\r\n" + HOST),
    "long header": (431, b"GET /x HTTP/1.1\r\nX: " + LONG + b"\r\n" + HOST),
    "many headers": (431, b"GET /x HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + HOST),
    "endless header": (431, b"GET /x HTTP/1.1\r\nX: " + LONG * 5),
    "bad percent": (400, b"GET /%zz HTTP/1.1\r\n" + HOST),
    "half percent": (400, b"GET /x?q=% HTTP/1.1\r\n" + HOST),
    "raw bytes": (400, b"GET /\xff\xfe HTTP/1.1\r\n" + HOST),
    "raw query bytes": (400, b"GET /x?q=\xc3\xa9 HTTP/1.1\r\n" + HOST),
    "nul": (400, b"GET /\x00 HTTP/1.1\r\n" + HOST),
    "nul header": (400, b"GET /x HTTP/1.1\r\nX: \x00\r\n" + HOST),
    "no host": (400, b"GET /x HTTP/1.1\r\n"),
    "no host in 1.0": (400, b"GET /x HTTP/1.0\r\n"),
    "two hosts": (400, b"GET /x HTTP/1.1\r\n" + HOST + HOST),
    "foreign host": (421, b"GET /x HTTP/1.1\r\nHost: evil.example\r\n"),
    "no http": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "http2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n"),
    "bad length": (400, b"POST /x HTTP/1.1\r\nContent-Length: -1\r\n" + HOST),
    "two lengths": (400, b"POST /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + HOST),
    "folded": (400, b"GET /x HTTP/1.1\r\n X: y\r\n" + HOST),
    "foreign page": (403, b"POST /x HTTP/1.1\r\nOrigin: http://evil.example\r\nContent-Length: 2\r\n" + HOST),
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("data")
    folder.chmod(0o755)
    service = standin.write(tmp_path_factory.mktemp("service"))
    before = os.umask(0o022)
    try:
        with Stack(settings.load({"APP_PORT": "0", "DATA_DIR": str(folder)}, ROOT / "none"), **service) as stack:
            yield stack
    finally:
        os.umask(before)


def said(stack: Stack, raw: bytes, address: str = "127.0.0.1") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body that come to the bytes and an empty line."""
    with socket.create_connection((address, stack.port), timeout=20) as connection:
        connection.sendall(raw + (b"\r\n{}" if b"Content-Length: 2" in raw else b"\r\n"))
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()


@pytest.mark.parametrize("name", REQUESTS)
def test_it_is_told_what_is_wrong(stack: Stack, name: str) -> None:
    want, raw = REQUESTS[name]
    status, headers, body = said(stack, raw)
    assert status == want
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"]
    problem = json.loads(body)
    assert (problem["status"], problem["code"] != "", problem["detail"] != "") == (want, True, True)
    assert http.get(f"{stack.url}/health").status_code == 200


def test_nothing_of_it_is_an_error_in_our_log(stack: Stack) -> None:
    for _, raw in REQUESTS.values():
        said(stack, raw)
    log = stack.settings.data_dir / "logs" / "front.log"
    assert not log.is_file() or "Traceback" not in log.read_text("utf-8")


def test_it_listens_on_both_addresses_of_this_machine(stack: Stack) -> None:
    for address in ("127.0.0.1", "::1"):
        assert said(stack, b"GET /health HTTP/1.1\r\nConnection: close\r\n" + HOST, address)[0] == 200


@pytest.mark.parametrize("accept", ["", " ", ";q=1", None, "*/*", "image/png"])
def test_an_image_is_bytes_whatever_is_accepted(stack: Stack, accept: str | None) -> None:
    line = b"" if accept is None else f"Accept: {accept}\r\n".encode()
    status, headers, body = said(stack, b"GET /bytes?n=10 HTTP/1.1\r\nConnection: close\r\n" + line + HOST)
    assert (status, headers["content-type"], body) == (200, "image/png", b"\x89" * 10)


def test_a_client_cannot_bring_its_own_word_nor_see_ours(stack: Stack) -> None:
    event = http.post(f"{stack.url}/echo", headers={"X-Local-Word": "guess"}, json={}).json()
    assert "local-word" not in json.dumps(event).lower()
    assert stack.emulator.keys.word not in json.dumps(event)


def test_functions_know_neither_the_launchers_keys_nor_its_word(stack: Stack) -> None:
    environment = http.get(f"{stack.url}/env").text
    assert stack.emulator.keys.secret not in environment
    assert stack.emulator.keys.access_key_id not in environment
    assert stack.emulator.keys.word not in environment


def test_what_it_writes_is_its_owners_alone(stack: Stack) -> None:
    folder = stack.settings.data_dir
    http.get(f"{stack.url}/presign?key=images/a.png")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    stack.restart()
    for path in [folder / keys.FILE, *(p for p in (folder / "state").rglob("*")), *(folder / "s3").rglob("*")]:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert (folder / "state" / "lambda.json").is_file()


def test_the_secrets_are_on_no_command_line(stack: Stack) -> None:
    secrets = [stack.emulator.keys.secret.encode(), stack.emulator.keys.word.encode()]
    seen = []
    for process in [p for p in (ROOT / "/proc").iterdir() if p.name.isdigit()]:
        try:
            seen.append((process / "cmdline").read_bytes())
        except OSError:
            continue
    assert seen
    assert not [line for line in seen if any(secret in line for secret in secrets)]

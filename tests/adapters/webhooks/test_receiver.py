"""The POST to a receiver: its content, the handling of responses, and barred addresses."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lambdas.adapters.webhooks.receiver import HttpReceiver
from lambdas.adapters.webhooks.urls import REFUSALS, GuardedUrls
from lambdas.domain.ports.webhooks import Reply
from lambdas.egress import wire
from tests.doubles.service import FakeService, Request
from tests.doubles.service import Reply as Said
from tests.support.hostile_urls import MALFORMED, ODD, PRIVATE

BODY = '{"prompt":"🦊"}'.encode()
HEADERS = {"Content-Type": "application/json", "webhook-id": "msg_1"}


class Server(FakeService):
    """`/to?url=` redirects there, `/{status}` answers so, anything else takes the event."""

    refusals: ClassVar = {}

    def route(self, request: Request) -> Said:
        self.last = request
        if request.path == "/to":
            return Said(302, headers={"Location": request.query["url"]})
        if request.path == "/busy":
            return Said(503, headers={"Retry-After": "120"})
        if request.path.strip("/").isdigit():
            return Said(int(request.path.strip("/")))
        return Said(200, b"x" * 3_000_000)


@pytest.fixture(scope="module")
def _server() -> Iterator[Server]:
    with Server() as fake:
        yield fake


@pytest.fixture
def server(_server: Server) -> Server:
    _server.clear()
    _server.calls.clear()
    return _server


def take(peer: socket.socket) -> None:
    """The whole event: what is left unread at a close would reset the connection under the answer."""
    seen = b""
    while not seen.endswith(BODY):
        more = peer.recv(65536)
        if not more:
            return
        seen += more


def post(url: str, timeout: float = 5, *, allow_private: bool = True) -> Reply:
    return HttpReceiver(allow_private=allow_private).post(url, BODY, HEADERS, timeout)


def test_what_the_receiver_gets(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post(f"{server.url}/hook?a=b%2Fc") == Reply(200)  # however long the answer
    assert (server.last.path, server.last.query, server.last.body) == ("/hook", {"a": "b/c"}, BODY)
    wanted = {**{k.lower(): v for k, v in HEADERS.items()}, "content-length": str(len(BODY))}
    assert wanted.items() <= {k.lower(): v for k, v in server.last.headers.items()}.items()


@pytest.mark.parametrize("status", [201, 204, 301, 308, 400, 404, 410, 429, 500, 503])
def test_its_status_is_told(server: Server, status: int) -> None:
    assert post(f"{server.url}/{status}") == Reply(status)


def test_when_it_wants_to_be_asked_again(server: Server) -> None:
    assert post(f"{server.url}/busy") == Reply(503, retry_after=120.0)


def test_a_redirect_is_not_followed(server: Server) -> None:
    assert post(f"{server.url}/to?url={server.url}/hook") == Reply(302)
    assert server.last.path == "/to"


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """`peer(parts, pause)`: the address of a server for one connection that says these bytes, with pauses."""
    over = threading.Event()

    def serve(parts: list[bytes], pause: float) -> str:
        listening = socket.create_server(("127.0.0.1", 0))

        def say() -> None:
            with listening, listening.accept()[0] as other:
                take(other)
                for part in parts:
                    try:
                        other.sendall(part)
                    except OSError:
                        return
                    over.wait(pause)

        threading.Thread(target=say, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/"

    yield serve
    over.set()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"


@pytest.mark.parametrize(
    ("parts", "pause", "said"),
    [
        ([b"HTTP/1.1 200 OK\r\n"] + [b"X: y\r\n"] * 90, 0.05, Reply(None, "no answer within 0 s")),
        ([b""], 0, Reply(None, "the connection broke before an answer")),
        ([b"SSH-2.0-OpenSSH_9.9\r\n"], 0, Reply(None, "the connection broke before an answer")),
        ([HEAD, *[b"x"] * 1000], 0.05, Reply(200)),  # it has said yes
        ([HEAD], 0, Reply(200)),
    ],
    ids=["dripping head", "closed", "no HTTP", "dripping body", "cut body"],
)
def test_the_deadline_is_total(peer: Any, parts: list[bytes], pause: float, said: Reply, waits: list[float]) -> None:
    assert post(peer(parts, pause), timeout=0.4) == said
    assert 0 < max(waits) <= 0.4


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert post(f"http://127.0.0.1:{port}/") == Reply(None, "no connection could be made")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate of hooks.test, its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "hooks.pem"
    path.write_bytes(private + made.public_bytes(Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("host", "known", "said"),
    [
        ("hooks.test", True, Reply(200)),
        ("hooks.test", False, Reply(None, "its certificate is not valid: self-signed certificate")),
        ("other.test", True, Reply(None, "its certificate is not valid: it is for another name")),
    ],
    ids=["verified", "unknown authority", "another name"],
)
def test_the_certificate_is_verified_for_the_name(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, host: str, known: bool, said: Reply
) -> None:
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(certificate)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, suppress(OSError), served.wrap_socket(listening.accept()[0], server_side=True) as other:
            take(other)
            other.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    trusting = ssl.create_default_context(cafile=str(certificate) if known else None)
    monkeypatch.setattr(wire, "tls_context", lambda: trusting)
    monkeypatch.setattr(wire, "resolve", lambda *a: ("127.0.0.1",))
    assert post(f"https://{host}:{listening.getsockname()[1]}/") == said
    thread.join(5)


def test_connected_by_address_and_verified_by_name(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    verified, dialled = [], []

    class Tls:
        verify_mode = 2
        check_hostname = True
        post_handshake_auth = None

        def wrap_socket(self, sock: socket.socket, server_hostname: str) -> socket.socket:
            verified.append(server_hostname)
            return sock

    connect = socket.socket.connect

    def to_the_double(self: socket.socket, address: Any) -> None:
        dialled.append(address)
        connect(self, ("127.0.0.1", urlsplit(server.url).port))

    answers = iter([["93.184.215.14"], ["127.0.0.1"]])  # the second would be the rebound one
    asked = []

    def look_up(host: str, port: int, **_: Any) -> Any:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in next(answers)]

    monkeypatch.setattr(wire, "tls_context", Tls)
    monkeypatch.setattr(socket.socket, "connect", to_the_double)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert post("https://hooks.test/x", allow_private=False) == Reply(200)
    assert (dialled, verified, asked) == ([("93.184.215.14", 443)], ["hooks.test"], ["hooks.test"])
    assert server.last.headers["Host"] == "hooks.test"
    assert post("https://hooks.test/x", allow_private=False) == Reply(None, "the address is not public")
    assert len(dialled) == 1


def _no_connection(self: socket.socket, address: Any) -> None:
    raise AssertionError(f"connected to {address}")


@pytest.mark.parametrize("url", PRIVATE + MALFORMED + ODD)
def test_hostile_addresses(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused when they are named, and not reached if they were to slip in."""
    monkeypatch.setattr(socket.socket, "connect", _no_connection)
    monkeypatch.setattr(socket, "getaddrinfo", _no_connection)
    assert GuardedUrls(allow_private=False).refusal(url) in REFUSALS.values()
    assert post(url, allow_private=False).status is None


def test_names_as_they_resolve_now(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"inside.test": ["10.0.0.1"], "mixed.test": ["93.184.215.14", "::1"], "fine.test": ["93.184.215.14"]}

    def look_up(host: str, port: int, **_: Any) -> Any:
        if host not in known:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in known[host]]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    urls = GuardedUrls(allow_private=False)
    assert urls.refusal("https://fine.test/hook") is None
    assert urls.refusal("https://not-yet.test/hook") is None
    assert urls.refusal("https://inside.test/hook") == urls.refusal("https://mixed.test/hook") == REFUSALS["private"]


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    from lambdas.adapters.webhooks import urls as webhook_urls

    over = threading.Event()
    monkeypatch.setattr(webhook_urls, "LOOK_UP_SECONDS", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: over.wait(20))
    assert GuardedUrls(allow_private=False).refusal("https://slow.test/") is None
    assert 0 < max(waits) <= 0.05
    over.set()


def test_on_ones_own_machine() -> None:
    urls = GuardedUrls(allow_private=True)
    assert urls.refusal("http://127.0.0.1:9000/hook") is None
    assert urls.refusal("http://localhost/") is None
    assert urls.refusal("ftp://localhost/") == REFUSALS["scheme"]
    assert urls.refusal("http://u:p@localhost/") == REFUSALS["invalid"]

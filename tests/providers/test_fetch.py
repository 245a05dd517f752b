"""Pictures behind addresses that a provider names: only public hosts, whatever the address looks like or turns into."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from lambdas.domain.errors import ProviderFailure
from lambdas.providers import _fetch, _wire
from lambdas.providers._fetch import fetch_image, is_public, trusted_hosts
from tests.doubles.service import FakeService, Reply, Request

WHO = "Painter"
HERE = frozenset({"127.0.0.1"})


class Cdn(FakeService):
    """`/image` is a picture; `/to?url=` redirects there; anything else is not there."""

    refusals: ClassVar = {"internal": Reply(500), "missing": Reply(404)}

    def route(self, request: Request) -> Reply:
        self.last = request
        if request.path == "/to":
            return Reply(302, headers={"Location": request.query["url"]})
        if request.path == "/loop":
            return Reply(307, headers={"Location": "/loop"})
        return self.download(lambda: b"a picture") if request.path == "/image" else Reply(404)


@pytest.fixture(scope="module")
def _cdn() -> Iterator[Cdn]:
    with Cdn() as fake:
        yield fake


@pytest.fixture
def cdn(_cdn: Cdn, monkeypatch: pytest.MonkeyPatch) -> Cdn:
    monkeypatch.setattr(_fetch, "PAUSE_SECONDS", 0.01)
    _cdn.clear()
    _cdn.calls.clear()
    return _cdn


def failed(url: str, timeout: float = 2, **given: Any) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as caught:
        fetch_image(url, timeout=timeout, who=WHO, **given)
    assert caught.value.paid == "unknown"
    return caught.value


def test_a_trusted_host_or_a_deployment_that_allows_it(cdn: Cdn) -> None:
    assert fetch_image(f"{cdn.url}/image", timeout=5, trusted=HERE, who=WHO) == b"a picture"
    assert fetch_image(f"{cdn.url}/image", timeout=5, allow_private=True, who=WHO) == b"a picture"
    assert failed(f"{cdn.url}/image").code == "bad_answer"
    assert failed(f"{cdn.url}/image", trusted=frozenset({"localhost"})).code == "bad_answer"


@pytest.mark.parametrize("fault", ["internal", "missing", "reset", "short_body", "reset_body"])
def test_what_may_pass_is_tried_again(cdn: Cdn, fault: str) -> None:
    cdn.inject(fault, times=2, at="image")
    assert fetch_image(f"{cdn.url}/image", timeout=5, trusted=HERE, who=WHO) == b"a picture"
    cdn.inject(fault, times=None, at="image")
    assert failed(f"{cdn.url}/image", trusted=HERE).code == "outcome_unknown"
    assert len(cdn.calls) == 6
    assert failed(f"{cdn.url}/image", trusted=HERE, later="unavailable").code == "unavailable"


@pytest.mark.parametrize("fault", ["hang", "drip", "drip_headers"])
def test_the_deadline_is_total(cdn: Cdn, fault: str) -> None:
    cdn.inject(fault, times=None, seconds=0.05, at="image")
    began = time.monotonic()
    assert failed(f"{cdn.url}/image", timeout=0.6, trusted=HERE).code == "outcome_unknown"
    assert time.monotonic() - began < 2
    cdn.clear()
    cdn.inject(fault, seconds=0.05, at="image")
    assert fetch_image(f"{cdn.url}/image", timeout=0.6, trusted=HERE, who=WHO) == b"a picture"


def test_too_large_is_final(cdn: Cdn) -> None:
    cdn.inject("huge_image")
    assert failed(f"{cdn.url}/image", trusted=HERE).code == "bad_answer"
    assert len(cdn.calls) == 1


def test_redirects(cdn: Cdn) -> None:
    assert fetch_image(f"{cdn.url}/to?url=/image", timeout=5, trusted=HERE, who=WHO) == b"a picture"
    assert failed(f"{cdn.url}/loop", trusted=HERE).code == "bad_answer"
    for target in (
        f"http://localhost:{urlsplit(cdn.url).port}/image",
        "file:///etc/passwd",
        "http://[",
        "//169.254.169.254/",
    ):
        assert failed(f"{cdn.url}/to?url={target}", trusted=HERE).code == "bad_answer"
    assert cdn.calls == cdn.calls[:1]


def test_no_key_is_sent_and_the_path_as_it_is(cdn: Cdn) -> None:
    fetch_image(f"{cdn.url}/image?a=b%2Fc&d=ä#e", timeout=5, trusted=HERE, who=WHO)
    assert {"authorization", "cookie"}.isdisjoint(name.lower() for name in cdn.last.headers)
    assert cdn.last.query == {"a": "b/c", "d": "ä"}


PRIVATE = """
    https://127.0.0.1/ https://127.1/ https://127.0.1/ https://2130706433/ https://0x7f000001/ https://0x7f.0.0.1/
    https://0177.0.0.1/ https://017700000001/ https://0/ https://0.0.0.0/ https://10.0.0.1/ https://172.16.0.1/
    https://192.168.1.1/ https://100.64.0.1/ https://169.254.169.254/ https://169.254.170.2/ https://0xa9fea9fe/
    https://2852039166/ https://192.0.0.8/ https://192.0.0.9/ https://192.0.0.170/ https://192.88.99.1/
    https://198.18.0.1/ https://203.0.113.1/ https://224.0.0.1/ https://224.0.1.1/ https://239.255.255.250/
    https://240.0.0.1/ https://255.255.255.255/ https://[::1]/ https://[::]/ https://[::127.0.0.1]/
    https://[::ffff:127.0.0.1]/ https://[::ffff:7f00:1]/ https://[::ffff:169.254.169.254]/
    https://[0:0:0:0:0:ffff:10.0.0.1]/ https://[64:ff9b::127.0.0.1]/ https://[64:ff9b::a9fe:a9fe]/
    https://[64:ff9b:1::7f00:1]/ https://[2002:7f00:1::]/ https://[2002:a9fe:a9fe::]/ https://[2001:0:7f00:1::]/
    https://[2001:db8::1]/ https://[3fff::1]/ https://[fe80::1]/ https://[fc00::1]/ https://[fd00:ec2::254]/
    https://[fec0::1]/ https://[ff02::1]/ https://[100::1]/ https://[5f00::1]/ https://localhost/
    https://LOCALHOST./ https://localhost.localdomain/
""".split()  # noqa: SIM905  a list would take a line for each
MALFORMED = """
    image.png //8.8.8.8/ https:// https:///x https://[ https://8.8.8.8:99999/ https://8.8.8.8:x/ http://8.8.8.8/
    ftp://8.8.8.8/ file:///proc/self/environ data:image/png;base64,AAAA gopher://8.8.8.8/ https://8.8.8.8:9001/
    https://8.8.8.8:22/ https://user@8.8.8.8/ https://u:p@8.8.8.8/ https://@8.8.8.8/ https://[fe80::1%25eth0]/
    https://%31%32%37.0.0.1/ jar:https://8.8.8.8/!/ https://[::1 https://[127.0.0.1]/
""".split()  # noqa: SIM905  a list would take a line for each
# With blanks, control characters, and what Unicode folds into digits, dots and letters.
ODD = [
    "https://\uff11\uff12\uff17.0.0.1/",
    "",
    "https://a\\@8.8.8.8/",
    "https://8.8.8.8\\@127.0.0.1/",
    "https://8.8.8.8\t/",
    "https://8.8.8.8\r\nX: y/",
    "https://8.8.8.8 /",
    "https://8.8.8.8\x00/",
    "https://127\u30020\u30020\u30021/",
    "https://\u24dbocalhost/",
    "https://8.8.8.8/\x7f",
]


@pytest.mark.parametrize("url", PRIVATE + MALFORMED + ODD)
def test_nothing_private_is_connected_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def offline(host: str, *args: Any, **kwargs: Any) -> Any:
        """Forms of numbers as the C library reads them; of names, only this machine's."""
        name = host.lower().rstrip(".")
        return resolve("127.0.0.1" if name.startswith("localhost") else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.setattr(socket.socket, "connect", _no_connection)
    monkeypatch.setattr(_fetch, "PAUSE_SECONDS", 0)
    assert failed(url, timeout=1).code in ("bad_answer", "outcome_unknown")


def _no_connection(self: socket.socket, address: Any) -> None:
    raise AssertionError(f"connected to {address}")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", ["", "localhost", "fe80::1%eth0", "1.2.3", "2002:808:808::", "256.1.1.1"])
def test_no_public_address(address: str) -> None:
    assert not is_public(address)


def _names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> tuple[list[str], list[Any]]:
    """Each look-up of a name takes the next answer; every connection is noted and fails."""
    asked: list[str] = []
    dialled: list[Any] = []

    def look_up(host: str, port: int, **kwargs: Any) -> Any:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in found]

    def connect(self: socket.socket, address: Any) -> None:
        dialled.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(_fetch, "PAUSE_SECONDS", 0)
    return asked, dialled


def test_a_name_that_turns_private_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebinding: what is connected to is what was checked, and each new try checks anew."""
    asked, dialled = _names(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    assert failed("https://rebind.test/x").code == "bad_answer"
    assert dialled == ["93.184.215.14"]
    assert asked == ["rebind.test", "rebind.test"]


@pytest.mark.parametrize("private", ["127.0.0.1", "10.0.0.7", "::1", "fd00::1", "::ffff:169.254.169.254"])
def test_one_private_address_bars_the_name(monkeypatch: pytest.MonkeyPatch, private: str) -> None:
    _, dialled = _names(monkeypatch, ["93.184.215.14", private])
    assert failed("https://mixed.test/x").code == "bad_answer"
    assert dialled == []


def test_a_name_without_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    _, dialled = _names(monkeypatch, [])
    assert failed("https://none.test/x").code == "bad_answer"
    assert dialled == []


def test_a_public_redirect_is_checked_too(cdn: Cdn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A public host (played by the double) sends on to a private one."""
    sent = []

    def exchange(peer: _wire.Peer, *args: Any, **kwargs: Any) -> Any:
        sent.append(peer)
        return 302, {"location": "https://inside.test/"}, b""

    monkeypatch.setattr(_wire, "exchange", exchange)
    _names(monkeypatch, ["93.184.215.14"], ["10.0.0.1"])
    assert failed("https://outside.test/x").code == "bad_answer"
    assert sent == [_wire.Peer(True, "outside.test", 443, ("93.184.215.14",))]


def test_the_name_stays_in_host_and_certificate(cdn: Cdn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connected by address, but asked for and verified by name."""
    verified = []

    class Tls:
        verify_mode = 2
        check_hostname = True
        post_handshake_auth = None

        def wrap_socket(self, sock: socket.socket, server_hostname: str) -> socket.socket:
            verified.append(server_hostname)
            return sock

    connect = socket.socket.connect
    dialled = []

    def to_the_double(self: socket.socket, address: Any) -> None:
        dialled.append(address)
        connect(self, ("127.0.0.1", urlsplit(cdn.url).port))

    monkeypatch.setattr(_wire, "tls_context", Tls)
    monkeypatch.setattr(socket.socket, "connect", to_the_double)
    monkeypatch.setattr(_wire, "resolve", lambda *a: ("93.184.215.14",))
    assert fetch_image("https://cdn.test/image", timeout=5, who=WHO) == b"a picture"
    assert dialled == [("93.184.215.14", 443)]
    assert verified == ["cdn.test"]
    assert cdn.last.headers["Host"] == "cdn.test"


def test_trusted_hosts() -> None:
    default = "https://cloud.leonardo.ai/api/rest"
    assert trusted_hosts(default, default) == trusted_hosts(default + "/", default) == frozenset()
    assert trusted_hosts("http://127.0.0.1:9000/api", default) == {"127.0.0.1"}
    assert trusted_hosts("", default) == frozenset()

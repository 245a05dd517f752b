"""Downloads from URLs of a provider's answer: only from public hosts, in any spelling and after redirects."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from lambdas.domain.failures import ProviderFailure
from lambdas.egress import guard, wire
from lambdas.providers._client import fetch
from lambdas.providers._client.fetch import fetch_image, trusted_hosts
from tests.doubles.service import FakeService, Reply, Request
from tests.support.hostile_urls import MALFORMED, ODD, PRIVATE

WHO = "Painter"


class Cdn(FakeService):
    """`/image` is a picture; `/to?url=` redirects there; anything else is not there."""

    refusals: ClassVar = {"internal": Reply(500), "missing": Reply(404)}

    def route(self, request: Request) -> Reply:
        self.last = request
        if request.path == "/to":
            return Reply(302, headers={"Location": request.query["url"]})
        if request.path == "/loop":
            return Reply(307, headers={"Location": "/loop"})
        if request.path.startswith("/hops/"):
            left = int(request.path.removeprefix("/hops/"))
            return Reply(308, headers={"Location": f"/hops/{left - 1}" if left > 1 else "/image"})
        return self.download(lambda: b"a picture") if request.path == "/image" else Reply(404)


@pytest.fixture(scope="module")
def _cdn() -> Iterator[Cdn]:
    with Cdn() as fake:
        yield fake


@pytest.fixture
def cdn(_cdn: Cdn, monkeypatch: pytest.MonkeyPatch) -> Cdn:
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0.01)
    _cdn.clear()
    _cdn.calls.clear()
    return _cdn


def here(cdn: Cdn) -> frozenset[guard.Origin]:
    return trusted_hosts(cdn.url, "https://cdn.test")


def failed(url: str, timeout: float = 2, **given: Any) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as caught:
        fetch_image(url, timeout=timeout, who=WHO, **given)
    assert caught.value.paid == "unknown"
    return caught.value


def test_a_trusted_host_or_a_deployment_that_allows_it(cdn: Cdn) -> None:
    assert fetch_image(f"{cdn.url}/image", timeout=5, trusted=here(cdn), who=WHO) == b"a picture"
    assert fetch_image(f"{cdn.url}/image", timeout=5, allow_private=True, who=WHO) == b"a picture"
    assert failed(f"{cdn.url}/image").code == "bad_answer"
    assert (
        failed(f"{cdn.url}/image", trusted=frozenset({("localhost", urlsplit(cdn.url).port or 0)})).code == "bad_answer"
    )


@pytest.mark.parametrize("fault", ["internal", "missing", "reset", "short_body", "reset_body"])
def test_what_may_pass_is_tried_again(cdn: Cdn, fault: str) -> None:
    cdn.inject(fault, times=2, at="image")
    assert fetch_image(f"{cdn.url}/image", timeout=5, trusted=here(cdn), who=WHO) == b"a picture"
    cdn.inject(fault, times=None, at="image")
    assert failed(f"{cdn.url}/image", trusted=here(cdn)).code == "outcome_unknown"
    assert len(cdn.calls) == 6
    assert failed(f"{cdn.url}/image", trusted=here(cdn), later="unavailable").code == "unavailable"


@pytest.mark.parametrize("fault", ["hang", "drip", "drip_headers"])
def test_the_deadline_is_total(cdn: Cdn, fault: str, waits: list[float]) -> None:
    cdn.inject(fault, times=None, seconds=0.05, at="image")
    assert failed(f"{cdn.url}/image", timeout=0.6, trusted=here(cdn)).code == "outcome_unknown"
    assert 0 < max(waits) <= 0.6
    cdn.clear()
    cdn.inject(fault, seconds=0.05, at="image")
    assert fetch_image(f"{cdn.url}/image", timeout=0.6, trusted=here(cdn), who=WHO) == b"a picture"


def test_too_large_is_final(cdn: Cdn) -> None:
    cdn.inject("huge_image")
    assert failed(f"{cdn.url}/image", trusted=here(cdn)).code == "bad_answer"
    assert len(cdn.calls) == 1


def test_redirects(cdn: Cdn) -> None:
    assert fetch_image(f"{cdn.url}/to?url=/image", timeout=5, trusted=here(cdn), who=WHO) == b"a picture"
    assert failed(f"{cdn.url}/loop", trusted=here(cdn)).code == "bad_answer"
    for target in (
        f"http://localhost:{urlsplit(cdn.url).port}/image",
        "file:///etc/passwd",
        "http://[",
        "//169.254.169.254/",
    ):
        assert failed(f"{cdn.url}/to?url={target}", trusted=here(cdn)).code == "bad_answer"
    assert cdn.calls == cdn.calls[:1]


def test_three_redirects_are_followed_and_no_fourth(cdn: Cdn) -> None:
    assert fetch_image(f"{cdn.url}/hops/3", timeout=5, trusted=here(cdn), who=WHO) == b"a picture"
    refused = failed(f"{cdn.url}/hops/4", trusted=here(cdn))
    assert (refused.code, "redirected too often" in refused.detail) == ("bad_answer", True)


def test_another_port_of_a_trusted_host_is_not_trusted(cdn: Cdn) -> None:
    """Beside a provider's stand-in on the same machine are others' services."""
    with Cdn() as other:
        assert failed(f"{other.url}/image", trusted=here(cdn)).code == "bad_answer"
        assert failed(f"{cdn.url}/to?url={other.url}/image", trusted=here(cdn)).code == "bad_answer"
        assert other.connections == 0


def test_no_key_is_sent_and_the_path_as_it_is(cdn: Cdn) -> None:
    fetch_image(f"{cdn.url}/image?a=b%2Fc&d=ä#e", timeout=5, trusted=here(cdn), who=WHO)
    assert {"authorization", "cookie"}.isdisjoint(name.lower() for name in cdn.last.headers)
    assert cdn.last.query == {"a": "b/c", "d": "ä"}


@pytest.mark.parametrize("url", PRIVATE + MALFORMED + ODD)
def test_nothing_private_is_connected_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def offline(host: str, *args: Any, **kwargs: Any) -> Any:
        """Forms of numbers as the C library reads them; of names, only this machine's."""
        name = host.lower().rstrip(".")
        return resolve("127.0.0.1" if name.startswith("localhost") else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.setattr(socket.socket, "connect", _no_connection)
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0)
    assert failed(url, timeout=1).code in ("bad_answer", "outcome_unknown")


def _no_connection(self: socket.socket, address: Any) -> None:
    raise AssertionError(f"connected to {address}")


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
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0)
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

    def exchange(peer: wire.Peer, *args: Any, **kwargs: Any) -> Any:
        sent.append(peer)
        return 302, {"location": "https://inside.test/"}, b""

    monkeypatch.setattr(wire, "exchange", exchange)
    _names(monkeypatch, ["93.184.215.14"], ["10.0.0.1"])
    assert failed("https://outside.test/x").code == "bad_answer"
    assert sent == [wire.Peer(True, "outside.test", 443, ("93.184.215.14",))]


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

    monkeypatch.setattr(wire, "tls_context", Tls)
    monkeypatch.setattr(socket.socket, "connect", to_the_double)
    monkeypatch.setattr(wire, "resolve", lambda *a: ("93.184.215.14",))
    assert fetch_image("https://cdn.test/image", timeout=5, who=WHO) == b"a picture"
    assert dialled == [("93.184.215.14", 443)]
    assert verified == ["cdn.test"]
    assert cdn.last.headers["Host"] == "cdn.test"


def test_trusted_hosts() -> None:
    default = "https://cloud.leonardo.ai/api/rest"
    assert trusted_hosts(default, default) == trusted_hosts(default + "/", default) == frozenset()
    assert trusted_hosts("http://127.0.0.1:9000/api", default) == {("127.0.0.1", 9000)}
    assert trusted_hosts("http://Proxy.test/api", default) == {("proxy.test", 80)}
    assert trusted_hosts("https://proxy.test", default) == {("proxy.test", 443)}
    assert trusted_hosts("http://127.0.0.1:9000,", default) == frozenset()
    assert trusted_hosts("", default) == frozenset()

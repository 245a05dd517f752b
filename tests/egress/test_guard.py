"""Barred addresses: hostile ones in every form, and names that become private between two look-ups."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from lambdas.egress import guard
from lambdas.egress.guard import BarredError, is_public
from tests.support.hostile_urls import MALFORMED, ODD, PRIVATE


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", ["", "localhost", "fe80::1%eth0", "1.2.3", "2002:808:808::", "256.1.1.1"])
def test_no_public_address(address: str) -> None:
    assert not is_public(address)


def no_look_up(*_: Any, **__: Any) -> Any:
    raise AssertionError("a name was looked up")


@pytest.mark.parametrize("url", PRIVATE + MALFORMED + ODD)
def test_the_address_alone_tells(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the resolver of this machine makes of numbers and local names."""
    monkeypatch.setattr(socket, "getaddrinfo", no_look_up)
    with pytest.raises(BarredError):
        guard.target(url)


LOCAL_NAMES = ["intranet", "localhost.", "metadata.google.internal", "printer.local", "a.localhost", "router.home.arpa"]


@pytest.mark.parametrize("host", LOCAL_NAMES)
def test_names_that_only_mean_something_here(host: str) -> None:
    with pytest.raises(BarredError) as barred:
        guard.target(f"https://{host}/")
    assert barred.value.fault == "private"


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("http://a.example/", "scheme"), ("ftp://a.example/", "scheme"), ("https://a.example:8443/", "port"),
        ("https://u:p@a.example/", "invalid"), ("https://a.example\\@10.0.0.1/", "invalid"),
        ("https://10.0.0.1/", "private"), ("https://256.1.1.1/", "invalid"),
    ],
)  # fmt: skip
def test_what_is_wrong(url: str, fault: str) -> None:
    with pytest.raises(BarredError) as barred:
        guard.target(url)
    assert barred.value.fault == fault


def test_what_a_public_address_comes_to() -> None:
    found = guard.target(" https://Hooks.Example:443/a b?c=ä#d".replace("a b", "a%20b"))
    assert (found.tls, found.host, found.port, found.path) == (True, "hooks.example", 443, "/a%20b?c=%C3%A4")
    assert guard.target("https://8.8.8.8").path == "/"
    assert guard.target("https://[2606:4700::1111]/").host == "2606:4700::1111"


def test_a_free_host_may_be_private_but_not_malformed() -> None:
    assert guard.target("http://127.0.0.1:9000/x", allow_private=True).port == 9000
    trusted = frozenset({("localhost", 80), ("127.0.0.1", 9000)})
    assert guard.target("http://localhost/x", trusted=trusted).port == 80
    assert guard.target("http://127.0.0.1:9000/x", trusted=trusted).port == 9000
    for url in ("http://localhost:9000/", "http://127.0.0.1/", "https://localhost/"):
        with pytest.raises(BarredError):
            guard.target(url, trusted=trusted)
    for url in ("ftp://127.0.0.1/", "http://u@127.0.0.1/", "http://a\\@127.0.0.1/"):
        with pytest.raises(BarredError):
            guard.target(url, allow_private=True)


@pytest.mark.parametrize(
    "answer", [[], ["10.0.0.7"], ["93.184.215.14", "127.0.0.1"], ["::1"], ["::ffff:169.254.169.254"]]
)
def test_every_address_of_a_name_must_be_public(answer: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in answer]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)
    with pytest.raises(BarredError) as barred:
        guard.peer(guard.target("https://mixed.test/"), time.monotonic() + 5)
    assert barred.value.fault == "private"


def test_who_is_connected_to_is_who_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: found)
    peer = guard.peer(guard.target("https://fine.test/"), time.monotonic() + 5)
    assert (peer.host, peer.addresses, peer.tls) == ("fine.test", ("93.184.215.14",), True)

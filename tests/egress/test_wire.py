"""Answers that arrive before the request was sent completely are read; without one the outcome is unknown."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from lambdas.domain.failures import ProviderFailure
from lambdas.egress import wire
from lambdas.providers._client.http import call, failure

LONG = bytes(30_000_000)  # more than the buffers of any system take without a reader
EARLY = b"HTTP/1.1 413 Too Long\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nlong"


def peer_that_answers(*answer: bytes) -> int:
    """The port of a peer for one connection, which reads the beginning of a request, answers and closes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as peer:
            peer.recv(100)
            for part in answer:
                peer.sendall(part)

    threading.Thread(target=serve, daemon=True).start()
    return int(listening.getsockname()[1])


def sent(ask: Callable[..., Any], port: int, **given: Any) -> Any:
    peer = wire.Peer(False, "peer.test", port, ("127.0.0.1",))
    return ask(peer, "POST", "/", {}, LONG, ends_at=time.monotonic() + 20, **given)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows drops what a connection that was reset has brought")
def test_an_early_answer_is_read() -> None:
    headers = {"retry-after": "7", "content-length": "4"}
    assert sent(wire.exchange, peer_that_answers(EARLY), max_bytes=100) == (413, headers, b"long")
    assert sent(wire.acknowledged, peer_that_answers(EARLY)) == (413, headers)


@pytest.mark.skipif(sys.platform == "win32", reason="as above")
def test_an_early_refusal_of_a_paid_call_costs_nothing() -> None:
    url = f"http://127.0.0.1:{peer_that_answers(EARLY)}"
    refused = failure(call("POST", url, body=LONG, timeout=20, paid=True, who="Painter"), "Painter")
    assert (refused.code, refused.paid) == ("invalid_request", "no")


@pytest.mark.parametrize("answer", [[], [b"HTTP/1.1 4"], [EARLY[:-1]], [b"SSH-2.0-OpenSSH_9.9\r\n"]])
def test_without_a_whole_answer_the_outcome_is_unknown(answer: list[bytes]) -> None:
    with pytest.raises(OSError) as broken:
        sent(wire.exchange, peer_that_answers(*answer), max_bytes=100)
    assert not isinstance(broken.value, TimeoutError)
    with pytest.raises(ProviderFailure) as failed:
        url = f"http://127.0.0.1:{peer_that_answers(*answer)}"
        call("POST", url, body=LONG, timeout=20, paid=True, who="Painter")
    assert (failed.value.code, failed.value.paid) == ("outcome_unknown", "unknown")

"""The HTTP client: every way a call can end without an answer, within its timeout, and its failure."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain.failures import ProviderFailure
from lambdas.egress import retry_after, wire
from lambdas.providers._client.http import Answer, ask, call, dollars, failure, post_json, quote
from tests.doubles.service import FakeService, Reply, Request, json_reply

WHO = "Painter"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Echo(FakeService):
    """Tells what it was sent; a POST is a paid call, a GET a question."""

    refusals: ClassVar = {
        "internal": Reply(500),
        "throttle": json_reply(429, {}, Retry_After="7"),
        "teapot": Reply(418),
    }

    def route(self, request: Request) -> Reply:
        answer = json_reply(200, {"path": request.path, "query": request.query, "said": request.body.decode()})
        answer.headers.update({f"X-Sent-{name}": value for name, value in request.headers.items()})
        if request.method == "POST":
            return self.work("echo", {}, lambda seconds, kind: self.pause(seconds) or answer)
        return self.ask(lambda kind: answer)


@pytest.fixture(scope="module")
def _echo() -> Iterator[Echo]:
    with Echo() as fake:
        yield fake


@pytest.fixture
def echo(_echo: Echo) -> Echo:
    _echo.clear()
    _echo.calls.clear()
    return _echo


def failed(**given: Any) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as caught:
        call(**{"method": "POST", "timeout": 5, "who": WHO, **given})
    assert WHO in caught.value.detail
    return caught.value


def test_a_call_and_its_answer(echo: Echo) -> None:
    answer = post_json(f"{echo.url}/a/b?c=d%20e#f", {"x": "ä"}, headers={"X-Key": "k"}, timeout=5, paid=True, who=WHO)
    assert (answer.status, answer.ok, answer.paid) == (200, True, True)
    assert answer.json(WHO) == {"path": "/a/b", "query": {"c": "d e"}, "said": json.dumps({"x": "ä"})}
    sent = {name[7:]: value for name, value in answer.headers.items() if name.startswith("x-sent-")}
    assert sent["x-key"] == "k"
    assert sent["content-type"] == sent["accept"] == "application/json"
    assert sent["accept-encoding"] == "identity"
    assert sent["host"] == echo.url.removeprefix("http://")
    assert "k" not in repr(Answer(200, {}, b"k-secret"))


def test_the_method_and_no_body(echo: Echo) -> None:
    assert call("GET", echo.url, timeout=5, who=WHO).json(WHO) == {"path": "/", "query": {}, "said": ""}


@pytest.mark.parametrize(
    ("fault", "paid", "code", "charged"),
    [
        ("hang", True, "timeout", "unknown"),
        ("hang", False, "timeout", "no"),
        ("drip", True, "timeout", "unknown"),
        ("drip_headers", True, "timeout", "unknown"),
        ("reset", True, "outcome_unknown", "unknown"),
        ("reset", False, "unavailable", "no"),
        ("lost_response", True, "outcome_unknown", "unknown"),
        ("reset_body", True, "outcome_unknown", "unknown"),
        ("short_body", True, "outcome_unknown", "unknown"),
        ("short_body", False, "unavailable", "no"),
    ],
)
def test_no_answer_is_one_call_in_time(
    echo: Echo, fault: str, paid: bool, code: str, charged: str, waits: list[float]
) -> None:
    echo.inject(fault, times=None)
    error = failed(url=echo.url, timeout=0.4, paid=paid)
    assert 0 < max(waits) <= 0.4
    assert (error.code, error.paid) == (code, charged)
    assert len(echo.calls) == 1


def test_slow_is_an_answer(echo: Echo) -> None:
    echo.inject("slow", seconds=0.2)
    assert call("POST", echo.url, timeout=5, who=WHO).ok


def _served(*parts: bytes, pause: float = 0.0) -> tuple[str, threading.Thread]:
    """A server for one connection that says these bytes whatever it is asked."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as peer:
            peer.recv(65536)
            for part in parts:
                try:
                    peer.sendall(part)
                except OSError:
                    return
                time.sleep(pause)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}", thread


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([b""], "outcome_unknown"),
        ([b"SSH-2.0-OpenSSH_9.9\r\n"], "outcome_unknown"),
        ([b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n"], "outcome_unknown"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n"], "outcome_unknown"),
        ([CHUNKED, b"5\r\nab"], "outcome_unknown"),
        ([CHUNKED, b"zz\r\n"], "outcome_unknown"),
        ([CHUNKED, b"-5\r\nabcde"], "outcome_unknown"),
        ([CHUNKED, b"-1\r\n", *[b"x" * 100_000] * 30], "bad_answer"),  # http.client would read it to its end
        ([b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000], "bad_answer"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n" + b"x" * 5000], "bad_answer"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n" + b"x" * 5000], "bad_answer"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nx"], "outcome_unknown"),
        ([b"HTTP/1.1 " + b"9" * 5000 + b" OK\r\n\r\n"], "outcome_unknown"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"], "bad_answer"),
        ([b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000], "bad_answer"),
        ([CHUNKED, *[b"400\r\n" + b"x" * 1024 + b"\r\n"] * 2, b"0\r\n\r\n"], "bad_answer"),
    ],
)
def test_hostile_answers(parts: list[bytes], code: str) -> None:
    url, thread = _served(*parts)
    error = failed(url=url, max_bytes=1000, paid=True)
    assert (error.code, error.paid) == (code, "unknown")
    thread.join(5)


def test_endless_continue_ends() -> None:
    url, _ = _served(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 1000, pause=0.01)
    assert failed(url=url, timeout=0.3).code == "timeout"


def test_chunks_and_no_length_are_read() -> None:
    url, _ = _served(CHUNKED, b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert call("GET", url, timeout=5, who=WHO).body == b"abc"
    url, _ = _served(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert call("GET", url, timeout=5, who=WHO).body == b"abc"


def test_a_redirect_is_not_followed() -> None:
    url, _ = _served(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n")
    answer = call("POST", url, timeout=5, paid=True, who=WHO)
    error = failure(answer, WHO)
    assert (answer.status, error.code, error.paid) == (302, "bad_answer", "unknown")


def test_a_peer_that_does_not_read(echo: Echo) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    with listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        error = failed(url=url, body=bytes(30_000_000), timeout=0.4, paid=True)
    assert (error.code, error.paid) == ("timeout", "unknown")


def test_nobody_there_was_not_paid() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = failed(url=f"http://127.0.0.1:{taken.getsockname()[1]}", paid=True)
    assert (error.code, error.paid) == ("unavailable", "no")


def test_no_name_was_not_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failed(url="https://painter.test", paid=True)
    assert (error.code, error.paid) == ("unavailable", "no")


def test_a_resolver_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: over.wait(30))
    error = failed(url="https://painter.test", timeout=0.2, paid=True)
    assert (error.code, error.paid) == ("unavailable", "no")
    assert 0 < max(waits) <= 0.2
    over.set()


def test_the_next_address_is_tried(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "resolve", lambda *a: ("127.0.0.2", "127.0.0.1"))
    connect = socket.socket.connect

    def no_second_loopback(self: socket.socket, address: Any) -> None:
        if address[0] == "127.0.0.2":
            raise ConnectionRefusedError
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", no_second_loopback)
    assert call("GET", echo.url, timeout=5, who=WHO).ok


def test_no_time_is_no_call(echo: Echo) -> None:
    error = failed(url=echo.url, timeout=0, paid=True)
    assert (error.code, error.paid) == ("timeout", "no")
    assert echo.calls == []


def test_plain_http_behind_https_was_not_paid(echo: Echo) -> None:
    error = failed(url=echo.url.replace("http:", "https:"), paid=True)
    assert (error.code, error.paid) == ("unavailable", "no")
    assert echo.calls == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ssl.SSLCertVerificationError(1, "x"), "its certificate is not valid: self-signed certificate"),
        (ssl.SSLCertVerificationError(1, "x"), "its certificate is not valid: it is for another name"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "no TLS connection could be made"),
        (ConnectionRefusedError(), "no connection could be made"),
    ],
)
def test_why_it_was_not_reached(error: OSError, told: str, echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words that name no host."""
    if isinstance(error, ssl.SSLCertVerificationError):
        other = "another name" in told
        error.verify_code, error.verify_message = (62, "not valid for 'db.corp'") if other else (18, told[30:])

    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", refuse)
    if isinstance(error, ConnectionRefusedError):
        monkeypatch.setattr(socket.socket, "connect", refuse)
    failure = failed(url=echo.url.replace("http:", "https:"), paid=True)
    assert (failure.code, failure.paid) == ("unavailable", "no")
    assert failure.detail == f"{WHO} could not be reached: {told}"


def test_certificates_are_verified() -> None:
    context = wire.tls_context()
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_no_proxy_of_the_environment(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert call("GET", echo.url, timeout=5, who=WHO).ok


@pytest.mark.parametrize("key", ["sk-1\nX: y", "sk-ключ"])
def test_a_key_that_cannot_be_sent_is_not_told(echo: Echo, key: str) -> None:
    error = failed(url=echo.url, headers={"Authorization": key}, paid=True)
    assert (error.code, error.paid) == ("not_authorized", "no")
    assert error.__cause__ is None
    assert echo.calls == []


@pytest.mark.parametrize("url", ["", "ftp://x/", "http://", "http://[", "http://h:99999999/", "http://127.0.0.1/a b\n"])
def test_an_address_that_is_none(url: str) -> None:
    error = failed(url=url, paid=True)
    assert error.code in ("not_authorized", "unavailable")
    assert error.paid == "no"


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b"9" * 5000])
def test_no_json(body: bytes) -> None:
    for paid, charged in ((True, "unknown"), (False, "no")):
        with pytest.raises(ProviderFailure) as caught:
            Answer(200, {}, body, paid).json(WHO)
        assert (caught.value.code, caught.value.paid) == ("bad_answer", charged)


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("2", 2, 2),
        (" 1.5 ", 1.5, 1.5),
        ("0", 0, 0),
        ("999999", 3600, 3600),
        (timedelta(seconds=100), 60, 100),
        (timedelta(seconds=-100), 0, 0),
        (timedelta(days=9), 3600, 3600),
    ],
)
def test_retry_after(header: str | timedelta, least: float, most: float) -> None:
    if isinstance(header, timedelta):
        header = format_datetime(datetime.now(UTC) + header, usegmt=True)
    wait = Answer(429, {"retry-after": header}, b"").retry_after
    assert wait is not None
    assert least <= wait <= most


FAR = ["Wed, 21 Oct 99999999999999999999 07:28:00 GMT", "1 Jan 1 00:00 +99999999999"]
ODD = ["", "-1", "nan", "inf", "soon", "1e9", "9" * 5000, "Fri, 99 Nov 2026 99:99:99 GMT", "1_0", "\u0663", *FAR]


@pytest.mark.parametrize("header", ODD)
def test_no_retry_after(header: str) -> None:
    assert Answer(429, {"retry-after": header}, b"").retry_after is None
    for date in ODD:  # a clock that says nothing is as none
        assert Answer(429, {"retry-after": "7", "date": date}, b"").retry_after == 7


@given(st.text(max_size=80) | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9-]{1,30} [0-9:+-]{1,30} \S*"))
def test_no_text_of_a_header_breaks_the_reading(text: str) -> None:
    for wait in (retry_after.seconds(text, 60.0), retry_after.seconds("7", 60.0, text)):
        assert wait is None or 0 <= wait <= 60


@pytest.mark.parametrize("skew", [timedelta(days=-400), timedelta(hours=-3), timedelta(0), timedelta(days=9)])
def test_a_date_is_one_of_the_peers_clock(skew: timedelta) -> None:
    there = datetime.now(UTC) + skew
    headers = {"retry-after": format_datetime(there + timedelta(seconds=30), usegmt=True)}
    headers["date"] = format_datetime(there, usegmt=True)
    assert Answer(429, headers, b"").retry_after == pytest.approx(30, abs=1)


@pytest.mark.parametrize(
    ("status", "code", "charged"),
    [
        (302, "bad_answer", "unknown"),
        (400, "invalid_request", "no"),
        (401, "not_authorized", "no"),
        (402, "out_of_credit", "no"),
        (403, "not_authorized", "no"),
        (404, "model_gone", "no"),
        (408, "timeout", "unknown"),
        (413, "invalid_request", "no"),
        (418, "invalid_request", "no"),
        (422, "invalid_request", "no"),
        (429, "throttled", "no"),
        (500, "failed", "unknown"),
        (502, "failed", "unknown"),
        (503, "unavailable", "no"),
        (504, "timeout", "unknown"),
        (520, "failed", "unknown"),
        (522, "unavailable", "no"),
        (529, "unavailable", "no"),
    ],
)
def test_statuses(status: int, code: str, charged: str) -> None:
    paid, free = (failure(Answer(status, {"retry-after": "3"}, b"", p), WHO, "no cats") for p in (True, False))
    assert (paid.code, paid.paid, free.code, free.paid) == (code, charged, code, "no")
    assert ("no cats" in paid.detail) == (code == "invalid_request")
    if status >= 400:
        assert paid.retry_after == 3


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("internal", "unavailable"),
        ("throttle", "throttled"),
        ("hang", "unavailable"),
        ("drip", "unavailable"),
        ("reset", "unavailable"),
        ("short_body", "unavailable"),
    ],
)
def test_asking_may_be_tried_again(echo: Echo, fault: str, code: str) -> None:
    echo.inject(fault, at="ask")
    with pytest.raises(ProviderFailure) as caught:
        ask("GET", echo.url, timeout=0.4, who=WHO)
    assert (caught.value.code, caught.value.paid) == (code, "unknown")
    assert caught.value.retry_after == (7 if fault == "throttle" else None)
    assert ask("GET", echo.url, timeout=5, who=WHO).paid


def test_asking_hands_on_what_will_not_pass(echo: Echo) -> None:
    echo.inject("teapot", at="ask")
    answer = ask("GET", echo.url, timeout=5, who=WHO)
    assert (answer.status, answer.paid) == (418, True)
    assert ask("POST", echo.url, [1], timeout=5, who=WHO).json(WHO)["said"] == "[1]"
    echo.inject("internal", at="ask")
    assert ask("GET", echo.url, timeout=5, who=WHO, any_status=True).status == 500


@pytest.mark.parametrize(
    ("amount", "price"),
    [
        *(("0.0147", 0.0147), (0.0038, 0.0038), (0, 0), ("-1", None), ("nan", None), ("inf", None), ("1e9", None)),
        *((None, None), ("", None), ([], None), ({}, None), (10**400, None)),
        *((True, None), ("1_0", None), ("\u0663", None), (" 1", None), ("9" * 400, None), (float("nan"), None)),
    ],
)
def test_prices(amount: Any, price: float | None) -> None:
    assert dollars(amount) == price


def test_quotes_are_short_printable_and_without_keys() -> None:
    assert quote("bad\n  key sk-123 \x1b[31m!", "sk-123", "") == "bad key *** [31m!"
    assert quote("x" * 999) == "x" * 200
    assert quote(None) == quote({"a": 1}) == ""


def test_faults_by_hand(echo: Echo) -> None:
    def control(method: str, path: str, body: bytes | None = None) -> Answer:
        return call(method, echo.url + path, body=body, timeout=5, who=WHO)

    assert control("POST", "/_faults", b'{"fault": "internal", "times": 1}').ok
    assert control("POST", "/_faults", b'{"fault": "nonsense"}').status == 400
    assert control("POST", "/").status == 500
    assert control("POST", "/").ok
    assert control("GET", "/_ledger").json(WHO)["paid"] == 1
    control("DELETE", "/_ledger")
    assert control("GET", "/_ledger").json(WHO) == {"calls": [], "paid": 0}

"""The server under the doubles of HTTP services: requests, answers, and connection faults."""

from __future__ import annotations

import json
import socket
import struct
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from email.message import Message
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.support.quiet_handler import QuietHandler

if TYPE_CHECKING:
    from tests.doubles.service import FakeService

MAX_BODY = 60_000_000


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Reply:
    """An answer. `paid`, of a refusal: whether the service may charge for it, at the worst."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    paid: bool = False
    fault: Fault | None = None


@dataclass
class Fault:
    kind: str
    at: str
    times: int | None = 1
    seconds: float = 0.02


class RefusedError(Exception):
    """The service does not take the call: nothing is worked on, nothing paid."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def json_reply(status: int, answer: Any, paid: bool = False, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(answer).encode(), {"Content-Type": "application/json", **named}, paid)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, fake: FakeService) -> None:
        self.fake = fake
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.fake.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news."""


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 <= length <= MAX_BODY:
            self.close_connection = True
            return self._send(Reply(413))
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        request = Request(self.command, parts.path, query, self.headers, self.rfile.read(length))
        fake = self.server.fake
        if request.path in ("/_ledger", "/_faults"):
            return self._send(_controlled(fake, request))
        try:
            return self._send(fake.answered(request))
        except RefusedError as refused:
            fake.record("refused", request.path, {}, paid=False, fault="refused")
            return self._send(refused.reply)

    do_POST = do_PUT = do_DELETE = do_GET

    def _send(self, reply: Reply) -> None:
        fault = reply.fault
        kind = fault.kind if fault else None
        if kind in ("reset", "lost_response"):
            return self._reset()
        if kind == "hang":
            self.close_connection = True
            return self.server.fake.pause(1e6)
        headers = {"Content-Length": str(len(reply.body)), **reply.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {reply.status} -\r\n{lines}\r\n".encode()
        wire = head + reply.body
        if kind in ("drip", "drip_headers") and fault:
            start = len(head) if kind == "drip" else 12
            self.wfile.write(wire[:start])
            for at in range(start, len(wire)):
                if self.server.fake.closing.wait(fault.seconds):
                    break
                self.wfile.write(wire[at : at + 1])
            self.close_connection = True
            return None
        if kind in ("reset_body", "short_body"):
            self.wfile.write(head + reply.body[: len(reply.body) // 2])
            self.close_connection = True
            return self._reset() if kind == "reset_body" else None
        self.wfile.write(wire)
        return None

    def _reset(self) -> None:
        """Closing with unsent data thrown away is seen by the peer as a reset."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


def _controlled(fake: FakeService, request: Request) -> Reply:
    if request.method == "DELETE":
        if request.path == "/_ledger":
            fake.calls.clear()
        fake.clear()
        return json_reply(200, {})
    if request.path == "/_ledger":
        calls = [asdict(call) for call in fake.calls]
        return json_reply(200, {"calls": calls, "paid": sum(call["paid"] for call in calls)})
    try:
        asked = json.loads(request.body)
        fake.inject(asked["fault"], asked.get("times"), asked.get("seconds", 0.02), asked.get("at"))
    except (KeyError, ValueError) as error:
        return json_reply(400, {"message": str(error)})
    return json_reply(200, {})

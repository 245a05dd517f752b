"""A strict double of the Bedrock runtime: input checks as AWS's, pictures, a ledger, and faults on demand.

In a test: `with FakeBedrock() as fake: fake.inject("throttle"); ...`. By hand, next to the local stack:
`python -m tests.doubles.bedrock.service --port 9500`, then
`AWS_ENDPOINT_URL_BEDROCK_RUNTIME=http://127.0.0.1:9500 make run`.
`GET /_ledger` shows the calls; `POST /_faults {"fault": "slow", "seconds": 3, "times": 2}` injects, without `times`
for ever; `DELETE /_faults` and `DELETE /_ledger` clear.
"""

from __future__ import annotations

import argparse
import base64
import json
import socket
import struct
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from http.server import ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any, Self
from urllib.parse import unquote

from lambdas import USER_AGENT
from tests.doubles.bedrock import converse, editing
from tests.doubles.bedrock.checks import Refused, check
from tests.doubles.bedrock.faults import BODIES, FAULTS, REFUSALS, Refusal
from tests.doubles.bedrock.models import paint
from tests.doubles.edges import EDGES
from tests.support.quiet_handler import QuietHandler

MAX_BODY = 25_000_000
# USD of an image; of a text by what every answer counts.
PRICES = {
    "stability.stable-image-core-v1:1": 0.04,
    "stability.sd3-5-large-v1:0": 0.08,
    "stability.stable-image-ultra-v1:1": 0.14,
    **dict.fromkeys(editing.SCHEMAS, 0.07),
    "openai.gpt-oss-20b-1:0": converse.cost(0.07, 0.30),
    "us.amazon.nova-micro-v1:0": converse.cost(0.035, 0.14),
}


@dataclass(frozen=True)
class Call:
    """One call that reached a model or was refused; `paid` where AWS may charge for it, and then `usd`."""

    model: str
    seed: int | None
    at: float
    paid: bool
    fault: str | None
    body: dict[str, Any]
    usd: float = 0.0


@dataclass
class Fault:
    kind: str
    times: int | None
    seconds: float


class FakeBedrock:
    """The server, on 127.0.0.1. `seconds` is what a good answer takes."""

    def __init__(self, port: int = 0, seconds: float = 0.0) -> None:
        self.calls: list[Call] = []
        self.connections = 0
        self.seconds = seconds
        self.closing = Event()
        self._faults: list[Fault] = []
        self._lock = Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.fake = self

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def paid(self) -> list[Call]:
        return [call for call in self.calls if call.paid]

    def inject(self, kind: str, times: int | None = 1, seconds: float = 0.02) -> None:
        """Fail the next `times` calls (`None`: all) so. `seconds`: how slow, or between two bytes of a drip."""
        if kind not in FAULTS | converse.BODIES.keys() | EDGES.keys():
            raise ValueError(f"unknown fault {kind!r}; known are: {', '.join(sorted(FAULTS))}")
        with self._lock:
            self._faults.append(Fault(kind, times, seconds))

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def next_fault(self) -> Fault | None:
        with self._lock:
            if not self._faults:
                return None
            fault = self._faults[0]
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.pop(0)
            return fault

    def record(self, model: str, body: dict[str, Any], *, paid: bool, fault: str | None) -> None:
        with self._lock:
            self.calls.append(
                Call(model, body.get("seed"), time.time(), paid, fault, body, PRICES[model] if paid else 0)
            )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    fake: FakeBedrock

    def process_request(self, request: Any, client_address: Any) -> None:
        self.fake.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news."""


class _Handler(QuietHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        if self.path == "/_faults":
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                self.server.fake.inject(asked["fault"], asked.get("times"), asked.get("seconds", 0.02))
            except (KeyError, ValueError) as error:
                return self._send(400, json.dumps({"message": str(error)}).encode())
            return self._send(200, b"{}")
        if USER_AGENT not in self.headers.get("User-Agent", ""):
            self.server.fake.record(unquote(self.path), {}, paid=False, fault="nameless")
            return self._from_the_edge("challenge")
        try:
            model, body = self._checked()
        except Refused as refused:
            self.server.fake.record(unquote(self.path), {}, paid=False, fault="refused")
            return self._refuse(refused.refusal)
        return self._answer(model, body)

    def do_GET(self) -> None:
        if self.path != "/_ledger":
            return self._send(404, b"{}")
        calls = [asdict(call) for call in self.server.fake.calls]
        return self._send(200, json.dumps({"calls": calls, "paid": sum(call["paid"] for call in calls)}).encode())

    def do_DELETE(self) -> None:
        if self.path == "/_ledger":
            self.server.fake.calls.clear()
        self.server.fake.clear()
        self._send(200, b"{}")

    def _checked(self) -> tuple[str, dict[str, Any]]:
        length = int(self.headers.get("Content-Length") or -1)
        if not 0 <= length <= MAX_BODY:
            self.close_connection = True
            raise Refused("ValidationException", 413, "Request body is too large or has no length.")
        checks = converse.check if converse.is_converse(self.path) else check
        return checks(self.path, self.headers, self.rfile.read(length))

    def _answer(self, model: str, body: dict[str, Any]) -> None:
        fake = self.server.fake
        fault = fake.next_fault()
        kind = fault.kind if fault else None
        if kind in EDGES:
            fake.record(model, body, paid=EDGES[kind].paid, fault=kind)
            return self._from_the_edge(kind)
        refusal = REFUSALS.get(kind or "")
        paid = refusal.paid if refusal else kind not in ("moderated_prompt", "inference_error", "unknown_reason")
        fake.record(model, body, paid=paid, fault=kind)
        if refusal:
            return self._refuse(refusal)
        if kind == "reset":
            return self._reset()
        fake.closing.wait(fault.seconds if fault and kind == "slow" else 1e6 if kind == "hang" else fake.seconds)
        answer = converse.answer(body, kind) if converse.is_converse(self.path) else _image_answer(model, body, kind)
        if fault is None or kind not in ("drip", "drip_headers", "reset_body", "short_body"):
            return self._send(200, answer)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n".encode()
        if kind in ("drip", "drip_headers"):
            start = len(head) if kind == "drip" else 12
            wire = head + answer
            self.wfile.write(wire[:start])
            for at in range(start, len(wire)):
                if fake.closing.wait(fault.seconds):
                    break
                self.wfile.write(wire[at : at + 1])
        else:
            self.wfile.write(head + answer[: len(answer) // 2])
        self.close_connection = True
        return self._reset() if kind == "reset_body" else None

    def _reset(self) -> None:
        """Closing with unsent data thrown away is seen by the peer as a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _from_the_edge(self, kind: str) -> None:
        self._send(EDGES[kind].status, EDGES[kind].body, EDGES[kind].headers)

    def _refuse(self, refusal: Refusal) -> None:
        if not refusal.error:
            return self._send(refusal.status, refusal.message.encode(), {"Content-Type": "text/html"})
        headers = {"x-amzn-ErrorType": refusal.error, **refusal.headers}
        return self._send(refusal.status, json.dumps({"message": refusal.message}).encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _image_answer(model: str, body: dict[str, Any], kind: str | None) -> bytes:
    image = editing.edit(model, body) if model in editing.SCHEMAS else paint(body)
    seed = body.get("seed") or 1
    if kind in BODIES:
        return BODIES[kind](image, seed)
    good = {"seeds": [seed], "finish_reasons": [None], "images": [base64.b64encode(image).decode()]}
    return json.dumps(good).encode()


def main() -> None:
    """Serve until Ctrl-C."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=9500)
    options.add_argument("--seconds", type=float, default=1.0, help="what a good answer takes")
    given = options.parse_args()
    with FakeBedrock(given.port, given.seconds) as fake, suppress(KeyboardInterrupt):
        print(f"fake Bedrock runtime on {fake.url}")  # noqa: T201
        fake.closing.wait()


if __name__ == "__main__":
    main()

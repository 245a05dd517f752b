"""The webhook receiver in its own process: it verifies, answers, and counts.

How it answers is in the path, `/<tenant>/<number of the prompt>/<manner>`: `ok`, `late-3` (500 to the first three), or
`days-2` (no answer for two days after the first attempt).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from http.server import HTTPServer
from threading import Thread

from standardwebhooks.webhooks import WebhookVerificationError

from tests.ledger import stage
from tests.ledger.process import Clock
from tests.support.quiet_handler import QuietHandler
from tests.support.signatures import verified

DAY = 86_400.0


@dataclass(frozen=True)
class Told:
    """One attempt: `status` is what it was answered with, 0 for nothing; `job` and `state` are what its body says."""

    number: int
    id: str
    job: str
    type: str
    state: str
    status: int
    valid: bool


def secret_of(tenant: str) -> str:
    return "whsec_" + base64.b64encode(hashlib.sha256(tenant.encode()).digest()).decode()


def told(address: str) -> list[Told]:
    return [Told(**row) for row in stage.control(address, "GET", "/_ledger")]


@contextmanager
def receiver(clock: Clock) -> Iterator[str]:
    """Its address."""
    with stage.aside(partial(_serve, clock)) as address:
        yield address


def _serve(clock: Clock, tell: int, wait: int) -> None:
    books: list[Told] = []
    began: dict[str, float] = {}
    seen: Counter[str] = Counter()

    def answer_to(path: str, manner: str) -> int:
        """By the attempts that this address has seen of all its events."""
        seen[path] += 1
        if manner.startswith("days-"):
            down = DAY * int(manner.removeprefix("days-"))
            return 200 if clock.now() > began.setdefault(path, clock.now()) + down else 0
        return 500 if manner != "ok" and seen[path] <= int(manner.removeprefix("late-")) else 200

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            self._answer(200, json.dumps([asdict(row) for row in books]).encode())

        def do_DELETE(self) -> None:
            books.clear()
            self._answer(200, b"{}")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            _, tenant, number, manner = self.path.split("/")
            headers = {name.lower(): value for name, value in self.headers.items()}
            said = json.loads(body)
            try:
                valid = verified(secret_of(tenant), body, headers, clock.now()) == said
            except WebhookVerificationError:
                valid = False
            status = answer_to(self.path, manner)
            data = said["data"]
            row = Told(
                int(number), headers["webhook-id"], data["generation_id"], said["type"], data["status"], status, valid
            )
            books.append(row)
            if status:
                self._answer(status, b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    os.write(tell, json.dumps(f"http://127.0.0.1:{server.server_port}").encode() + b"\n")
    while os.read(wait, 1):
        pass
    os._exit(0)

"""Webhooks on the local stack: a receiver that fails first, and verification by the public library."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.e2e import http
from tests.e2e.conftest import make_stack
from tests.e2e.http import Client
from tests.support.quiet_handler import QuietHandler

pytestmark = pytest.mark.e2e
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
ASYNC = {"Prefer": "respond-async"}


class Receiver:
    """Answers the first attempt of each event with 503, except on `/gone`, which is gone."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.known = threading.Condition()
        receiver = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with receiver.known:
                    first = all(h["webhook-id"] != headers["webhook-id"] for _, h, _ in receiver.got)
                    receiver.got.append((self.path, headers, body))
                    receiver.known.notify_all()
                self.send_response(410 if self.path == "/gone" else 503 if first else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def attempts(self, job_id: str, number: int) -> list[tuple[str, dict[str, str], bytes]]:
        """The attempts to tell of this job, once there are so many."""

        def of_the_job() -> list[tuple[str, dict[str, str], bytes]]:
            return [got for got in self.got if got[1]["webhook-id"] == f"msg_{job_id}"]

        with self.known:
            assert self.known.wait_for(lambda: len(of_the_job()) >= number, timeout=60), of_the_job()
            return of_the_job()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def client(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    given = {"WEBHOOK_SECRET": SECRET, "ALLOW_PRIVATE_URLS": "1"}
    with (
        make_stack(tmp_path_factory.mktemp("webhooks"), **given) as stack,
        Client(stack.url) as client,
    ):
        yield client


def state_of(client: Client, job_id: str, wanted: str) -> Any:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found = client.get("/unified/webhooks", params={"state": wanted, "limit": 100}).json()["webhooks"]
        if of_the_job := [webhook for webhook in found if webhook["generation_id"] == job_id]:
            return of_the_job[0]
        time.sleep(0.2)
    raise AssertionError(f"the webhook did not become {wanted}")


def verified(attempt: tuple[str, dict[str, str], bytes]) -> Any:
    _, headers, body = attempt
    assert len(body) < 20_000
    told: dict[str, object] = Webhook(SECRET).verify(body, headers)
    return told


def test_a_completed_job_is_told_after_a_failure(client: Client, receiver: Receiver) -> None:
    body = {"prompt": "A fox 🦊", "webhook_url": f"{receiver.url}/hook?a=1", "metadata": {"order": "7"}}
    made = client.post("/unified/generate", json=body, headers=ASYNC)
    assert made.status_code == 202
    job_id = made.json()["generation_id"]
    first, second = receiver.attempts(job_id, 2)
    assert first[0] == "/hook?a=1"
    told, again = verified(first), verified(second)
    assert told["type"] == again["type"] == "generation.completed"
    assert told["timestamp"] == again["timestamp"]
    assert told["data"]["labels"] == {"order": "7"}
    assert told["data"]["generation_id"] == job_id
    url = again["data"]["images"][0]["url"]
    assert http.get(url).content.startswith(b"\x89PNG")
    delivered = state_of(client, job_id, "delivered")
    assert (delivered["attempts"], delivered["last_status"]) == (2, 204)


def test_a_failed_and_a_cancelled_job_are_told(client: Client, receiver: Receiver) -> None:
    url = f"{receiver.url}/hook"
    batch = client.post("/unified/generate/batch", json={"requests": [{"prompt": "", "webhook_url": url}]})
    failed = batch.json()["jobs"][0]["generation_id"]
    cancelled = None
    for _ in range(50):
        made = client.post("/unified/generate", json={"prompt": "x", "n": 8, "webhook_url": url}, headers=ASYNC)
        job_id = made.json()["generation_id"]
        if client.delete(f"/unified/jobs/{job_id}").status_code == 200:
            cancelled = job_id
            break
    assert cancelled, "no job could be cancelled before it began"
    for job_id, kind in ((failed, "failed"), (cancelled, "cancelled")):
        attempts = receiver.attempts(job_id, 2)
        assert {verified(attempt)["type"] for attempt in attempts} == {f"generation.{kind}"}
        state_of(client, job_id, "delivered")


def test_a_receiver_that_is_gone_and_a_replay(client: Client, receiver: Receiver) -> None:
    body = {"prompt": "x", "webhook_url": f"{receiver.url}/gone"}
    made = client.post("/unified/generate", json=body).json()
    assert made["metadata"]["dropped_params"] == []
    job_id = made["generation_id"]
    receiver.attempts(job_id, 1)
    assert state_of(client, job_id, "disabled")["last_status"] == 410
    silent = client.post("/unified/generate", json=body).json()
    assert [d["name"] for d in silent["metadata"]["dropped_params"]] == ["webhook_url"]
    assert state_of(client, silent["generation_id"], "disabled")["attempts"] == 0
    replayed = client.post(f"/unified/webhooks/{job_id}/replay")
    assert replayed.status_code == 202
    receiver.attempts(job_id, 2)

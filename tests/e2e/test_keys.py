"""Keys and webhook secrets on the running local stack: created by the command, used, replaced and ended."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from queue import Queue

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from local.settings import ROOT
from local.stack import Stack
from tests.e2e import http
from tests.e2e.conftest import Start
from tests.e2e.http import Client
from tests.support.quiet_handler import QuietHandler

pytestmark = pytest.mark.e2e
Told = tuple[dict[str, str], bytes]  # headers and body
SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")


def command(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATA_DIR": str(stack.settings.data_dir)}
    told = subprocess.run(
        [sys.executable, "-m", "local", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in told.stderr
    return told


def status(stack: Stack, key: str) -> int:
    return http.get(f"{stack.url}/v1/models", headers={"x-api-key": key}, timeout=30).status_code


def test_a_key_is_made_used_replaced_and_revoked(start: Start) -> None:
    with start(REQUIRE_API_KEY="1") as stack:
        made = command(stack, "key", "acme", "--name", "laptop")
        key = made.stdout.strip()
        [key_id] = re.findall(r"key_[0-9a-f]{12}", made.stderr)[:1]
        assert status(stack, key) == 200
        assert status(stack, key[:-1] + ("A" if key[-1] != "A" else "B")) == 403

        bearer = {"authorization": f"Bearer {key}"}
        with Client(stack.url, headers=bearer) as acme:
            job = acme.post("/generate", json={"prompt": "a fox"}).json()["generation_id"]
            other = command(stack, "key", "umbrella").stdout.strip()
            theirs = http.get(f"{stack.url}/unified/jobs/{job}", headers={"x-api-key": other})
            assert (acme.get(f"/unified/jobs/{job}").status_code, theirs.status_code) == (200, 404)

        new = command(stack, "key-rotate", key_id, "--grace", "1h").stdout.strip()
        assert (status(stack, key), status(stack, new)) == (200, 200)
        listed = command(stack, "keys", "acme").stdout
        assert f"...{key[-4:]}" in listed
        assert f"...{new[-4:]}" in listed
        assert key not in listed
        assert other[-4:] not in listed

        assert command(stack, "key-revoke", key_id).returncode == 0
        revoked = time.monotonic()
        while status(stack, key) != 403:
            assert time.monotonic() - revoked < 60
            time.sleep(1)
        assert status(stack, new) == 200
        assert command(stack, "key-revoke", "key_000000000000").returncode == 1


@contextmanager
def receiving() -> Iterator[tuple[str, Queue[Told]]]:
    """The address of a receiver on this machine, and what it was sent: (headers, body), in order."""
    sent: Queue[Told] = Queue()

    class Receiver(QuietHandler):
        def do_POST(self) -> None:
            sent.put((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", sent
        finally:
            server.shutdown()
            thread.join()


def told(stack: Stack, key: str, sent: Queue[Told], url: str) -> tuple[str, dict[str, str], bytes]:
    """Ask for an image; the id of its job and the webhook that tells of its end."""
    body = {"prompt": "a fox", "webhook_url": url}
    headers = {"x-api-key": key}
    made = http.post(f"{stack.url}/unified/generate", json=body, headers=headers)
    assert made.status_code == 200, made.text
    return made.json()["generation_id"], *sent.get(timeout=30)


def test_webhooks_verify_with_the_secret_that_the_command_has_shown(start: Start) -> None:
    with (
        receiving() as (url, sent),
        start(REQUIRE_API_KEY="1", API_KEYS="umbrella:k1", ALLOW_PRIVATE_URLS="1") as stack,
    ):
        made = command(stack, "key", "acme")
        key = made.stdout.strip()
        assert re.fullmatch(r"ik_[A-Za-z0-9_-]{43}", key)
        [first] = SECRET.findall(made.stderr)
        assert SECRET.findall(command(stack, "key", "acme").stderr) == []

        job, headers, body = told(stack, key, sent, url)
        event = Webhook(first).verify(body, headers)
        assert (event["type"], event["data"]["generation_id"]) == ("generation.completed", job)

        second = command(stack, "webhook-secret", "acme", "--grace", "1h").stdout.strip()
        assert SECRET.fullmatch(second)
        _, headers, body = told(stack, key, sent, url)
        Webhook(first).verify(body, headers)
        Webhook(second).verify(body, headers)

        third = command(stack, "webhook-secret", "acme", "--grace", "0").stdout.strip()
        _, headers, body = told(stack, key, sent, url)
        Webhook(third).verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(second).verify(body, headers)

        kept = dict(
            line.split(":") for line in (stack.settings.data_dir / "webhook.secrets").read_text("utf-8").split()
        )
        assert set(kept) == {"default", "umbrella"}
        _, headers, body = told(stack, "k1", sent, url)
        Webhook(kept["umbrella"]).verify(body, headers)
        refused = command(stack, "webhook-secret", "umbrella")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "webhook.secrets" in refused.stderr


def test_the_receiver_of_the_readme_takes_a_webhook(start: Start) -> None:
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)[:1]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "9000" in code
    with start(ALLOW_PRIVATE_URLS="1") as stack:
        [line] = (stack.settings.data_dir / "webhook.secrets").read_text("utf-8").splitlines()
        receiver = subprocess.Popen(
            [sys.executable, "-c", code.replace("9000", str(port))],
            env={**os.environ, "SECRET": line.removeprefix("default:")},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            body = {"prompt": "A fox", "webhook_url": f"http://127.0.0.1:{port}/"}
            made = http.post(f"{stack.url}/unified/generate", json=body).json()
            assert receiver.stdout
            assert receiver.stdout.readline().split() == ["generation.completed", made["generation_id"]]
        finally:
            receiver.kill()
            receiver.communicate()

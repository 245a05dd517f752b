"""The local run: it starts, prints its banner, answers, keeps its data, and ends without leftovers."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from gpu_worker.scenes.judging import judge
from gpu_worker.scenes.scene import SIDE, Scene, Thing
from local.settings import ROOT
from local.stack import Stack
from tests.e2e import http
from tests.e2e.conftest import Start
from tests.e2e.http import Client

pytestmark = pytest.mark.e2e
Run = tuple["subprocess.Popen[str]", int, Path]


def fetch(url: str) -> requests.Response:
    return http.get(url, timeout=30)


def test_health(client: Client) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["x-request-id"]


def test_the_banner(stack: Stack) -> None:
    for said in (f"{stack.url}/docs", str(stack.settings.data_dir), "demo provider answers", "GEMINI_API_KEY"):
        assert said in stack.banner


def test_a_prompt_becomes_an_image(client: Client) -> None:
    answer = client.post("/generate", json={"prompt": "A futuristic city"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-image-provider"] == "demo"
    image = fetch(answer.json()["image_url"])
    assert image.status_code == 200
    Image.open(io.BytesIO(image.content)).verify()


def test_a_scene_of_shapes_is_painted_by_the_small_model(client: Client) -> None:
    sent = {"prompt": "a red circle on white", "seed": 3, "width": 256, "height": 256}
    answer = client.post("/generate", json=sent)
    assert (answer.status_code, answer.headers["x-image-provider"]) == (200, "demo"), answer.text
    job = client.get(f"/unified/jobs/{answer.json()['generation_id']}").json()
    assert (job["metadata"]["provider_model"], job["error"]) == ("demo/scenes-1", None)
    picture = Image.open(io.BytesIO(fetch(answer.json()["image_url"]).content)).convert("RGB")
    assert judge(np.asarray(picture.resize((SIDE, SIDE))), Scene((Thing("circle", "red"),))) is None


def test_an_image_and_its_job_outlive_a_restart(start: Start) -> None:
    with start() as stack:
        made = http.post(f"{stack.url}/generate-image", json={"prompt": "a cat"})
        name = made.json()["image_url"]
        before = fetch(f"{stack.url}/download/{name}")
        assert before.status_code == 200
        stack.restart()
        after = fetch(f"{stack.url}/download/{name}")
        assert after.content == before.content


def test_keys_of_the_settings(start: Start) -> None:
    with start(REQUIRE_API_KEY="1", API_KEYS="acme:k1") as stack:
        url = f"{stack.url}/v1/models"
        assert fetch(url).status_code == 401
        assert http.get(url, headers={"x-api-key": "wrong"}).status_code == 403
        assert http.get(url, headers={"authorization": "Bearer k1"}).status_code == 200
        assert "keys       required" in stack.banner


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """`python -m local run` as a child, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "APP_PORT": str(port), "DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "local", "run"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    yield process, port, tmp_path / "data"
    process.kill()
    process.wait()


def group(pid: str) -> list[str]:
    """Living processes of the session that the emulator of a run leads."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _parent, _group, session, *_ = stat.read_text("utf-8").rpartition(")")[2].split()
            if session == pid and state != "Z":
                found.append(stat.parent.name)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("sign", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_it_answers_and_ends_without_a_trace(run: Run, sign: str) -> None:
    process, port, data = run
    until = time.monotonic() + 90
    answered = None
    while answered is None and time.monotonic() < until:
        with contextlib.suppress(requests.RequestException):
            answered = fetch(f"http://127.0.0.1:{port}/health")
    assert answered is not None and answered.status_code == 200
    [emulator] = [
        stat.parent.name
        for stat in Path("/proc").glob("[0-9]*/stat")
        if (parts := stat.read_text("utf-8").rpartition(")")[2].split()) and parts[1] == str(process.pid)
    ]
    assert len(group(emulator)) >= 2, "the emulator and a function"
    process.send_signal(getattr(signal, sign))
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert f"http://localhost:{port}/docs" in output
    assert "GET    /health 200" in output
    assert group(emulator) == []
    assert not (data / "tmp").exists()


def test_a_taken_port_is_said_in_a_sentence(stack: Stack, tmp_path: Path) -> None:
    environment = {**os.environ, "APP_PORT": str(stack.port), "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "local", "run"]
    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 1
    assert told.stderr.startswith(f"Port {stack.port} is taken.")
    assert "Traceback" not in told.stderr

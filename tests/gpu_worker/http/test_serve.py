"""The worker as a process: how it begins, and that its end loses nothing."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.gpu_worker.client import call, figure, free_port, invoke
from tests.gpu_worker.fake_models import TURBO, WAIT

ROOT = Path(__file__).parents[3]


@dataclass
class Process:
    process: subprocess.Popen[str]
    port: int

    def ping(self) -> int:
        try:
            return call(self.port, "GET", "/ping").status
        except OSError:
            return 0

    def until(self, *statuses: int) -> None:
        while self.ping() not in statuses:
            assert self.process.poll() is None, self.process.communicate()

    def until_inside(self, requests: int) -> None:
        while figure(self.port, "gpu_worker_requests_inside") != requests:
            pass

    def paint(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def ended(self) -> tuple[int, list[dict[str, Any]]]:
        out, _ = self.process.communicate(timeout=WAIT)
        return self.process.returncode, [json.loads(line) for line in out.splitlines()]


@contextmanager
def served(*options: str, **environment: str) -> Iterator[Process]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.gpu_worker.served", *options],
        cwd=ROOT,
        env={**os.environ, "BIND_HOST": "127.0.0.1", "SAGEMAKER_BIND_TO_PORT": str(port), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Process(process, port)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_end_loses_nothing_that_was_taken(name: str) -> None:
    with served() as worker, ThreadPoolExecutor(24) as pool:
        worker.until(200)
        taken = [pool.submit(invoke, worker.port, id=str(n), seed=n, width=256 + 8 * (n % 3)) for n in range(24)]
        worker.until_inside(24)
        worker.process.send_signal(signal.Signals[name])
        worker.until(503)
        late = invoke(worker.port, id="late")
        assert (late.status, late.error, late.headers["retry-after"]) == (503, "busy", "30")
        assert worker.ping() == 503, "the port stays open to say so"
        assert worker.process.poll() is None
        worker.paint()
        answers = [one.result(WAIT) for one in taken]
        status, lines = worker.ended()
    assert [(one.status, one.json["id"], one.json["seed"]) for one in answers] == [(200, str(n), n) for n in range(24)]
    assert status == 0
    assert len([line for line in lines if line["message"] == "request" and line["status"] == 200]) == 24


def test_what_takes_too_long_is_refused_at_the_end_and_not_dropped() -> None:
    """A step that never ends: the answers are there in time all the same, and so is the end of the process."""
    with served(DRAIN_SECONDS="0.1") as worker, ThreadPoolExecutor(6) as pool:
        worker.until(200)
        taken = [pool.submit(invoke, worker.port, id=str(n)) for n in range(6)]
        worker.until_inside(6)
        worker.process.terminate()
        answers = [one.result(WAIT) for one in taken]
        status, _ = worker.ended()
    assert [(one.status, one.error, one.headers["retry-after"]) for one in answers] == [(503, "busy", "30")] * 6
    assert status == 0


def test_an_idle_worker_ends_at_once() -> None:
    with served() as worker:
        worker.until(200)
        connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=WAIT)
        connection.request("GET", "/ping")  # and its connection is kept
        assert connection.getresponse().read() == b""
        worker.process.terminate()
        status, lines = worker.ended()
        connection.close()
    assert status == 0
    assert [line["message"] for line in lines] == ["model loaded", "ready", "leaving"]


def test_a_worker_without_its_model_ends_and_says_why() -> None:
    with served(f"broken={TURBO}") as worker:
        status, lines = worker.ended()
    assert status == 1
    assert [line for line in lines if line["level"] == "ERROR" and line.get("said") == "no such file"]


def test_a_lost_gpu_ends_the_process_so_that_another_is_started() -> None:
    with served() as worker, ThreadPoolExecutor(2) as pool:
        worker.until(200)
        taken = [pool.submit(invoke, worker.port, prompt=prompt) for prompt in ("lost", "a cat")]
        worker.until_inside(2)
        worker.paint()
        answers = [one.result(WAIT) for one in taken]
        status, _ = worker.ended()
    assert status == 1
    assert {one.status for one in answers} <= {200, 503}
    assert answers[0].error == "busy"


def test_a_step_that_hangs_ends_the_process_so_that_another_is_started() -> None:
    with served(GENERATION_TIMEOUT_SECONDS="0.2", HANG_SECONDS="0") as worker, ThreadPoolExecutor(2) as pool:
        worker.until(200)
        taken = [pool.submit(invoke, worker.port, id=str(n)) for n in range(2)]
        answers = [one.result(WAIT) for one in taken]
        status, lines = worker.ended()
    assert status == 1
    assert {(one.status, one.error) for one in answers} <= {(504, "timeout"), (503, "busy")}
    [lost] = [line for line in lines if line["message"] == "the GPU is lost"]
    assert lost["error"] == "TimeoutError"


def test_the_limits_of_the_environment_hold() -> None:
    with served(QUEUE_SIZE="1", GENERATION_TIMEOUT_SECONDS="0.2", PRELOAD_MODELS="other,third") as worker:
        worker.until(200)
        assert call(worker.port, "GET", "/models").json["loaded"] == ["other", "third"]
        assert invoke(worker.port).error == "timeout"

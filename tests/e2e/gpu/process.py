"""The GPU worker in its own process, with untrained weights, behind the local stack."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from tests.e2e import http

TURBO = "stabilityai/sdxl-turbo"
SCENES = "diffusers/stable-diffusion-xl-1.0-inpainting-0.1"
PATIENCE = 180.0  # seconds; torch alone takes some to import, and many on a busy machine


class WorkerProcess:
    """`with WorkerProcess(folder, weights) as worker:` serves at `worker.url`; once ended it can be started again."""

    command: tuple[str, ...] = ("gpu_worker", "serve")

    def __init__(self, folder: Path, weights: Path | None = None, **settings: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "worker.log"
        self._settings = {
            "MODEL_DIR": str(weights or folder),
            "WEIGHTS_DIR": str(folder / "downloads"),
            "WEIGHTS_HUB": "0",
            "PRELOAD_MODELS": f"{TURBO},{SCENES}" if weights else TURBO,
            "BIND_HOST": "127.0.0.1",
            "SAGEMAKER_BIND_TO_PORT": str(self.port),
            "DEVICE": "cpu",
            "OMP_NUM_THREADS": "1",
            **settings,
        }

    def start(self) -> None:
        """Returns when it takes work."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self.command],
                env=os.environ | self._settings,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self.until(lambda: self.ping() == 200)

    def until(self, there: Callable[[], bool]) -> None:
        """Wait for what must come while the process lives; `there` is called again and again."""
        assert self._process
        ends = time.monotonic() + PATIENCE
        while not there():
            assert self._process.poll() is None, self._log.read_text("utf-8")[-2000:]
            assert time.monotonic() < ends
            time.sleep(0.01)

    @property
    def log(self) -> list[dict[str, Any]]:
        """What it has logged since its first start."""
        return [json.loads(line) for line in self._log.read_text("utf-8").splitlines() if line.startswith("{")]

    def ping(self) -> int:
        """The status of `/ping`; 0 where nobody answers."""
        try:
            return http.get(f"{self.url}/ping").status_code
        except requests.RequestException:
            return 0

    def figure(self, name: str, label: str = "") -> float:
        """The sum of those lines of its `/metrics`."""
        lines = http.get(f"{self.url}/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name) and label in line)

    @property
    def painted(self) -> int:
        """How many requests it has answered with an image."""
        return int(self.figure("ai_bg_predictions_total", 'status="success"'))

    def leave(self) -> None:
        """Tell it to end."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """The status it ends with."""
        assert self._process
        return self._process.wait(PATIENCE)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()


class HeldWorker(WorkerProcess):
    """The same process with a model of numpy alone, which paints nothing until it is told to."""

    command = ("tests.gpu_worker.served",)

    def paint(self) -> None:
        """From now on it paints."""
        assert self._process
        assert self._process.stdin
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

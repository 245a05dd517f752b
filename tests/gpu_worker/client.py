"""The worker over real HTTP, in this process or in one of its own, and a client for it."""

from __future__ import annotations

import base64
import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import uvicorn
from PIL import Image

from gpu_worker.contract import PaintRequest
from gpu_worker.http.server import Worker
from tests.gpu_worker.fake_models import TURBO, WAIT


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"]["code"])

    @property
    def pixels(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(self.json["image"]))))


def payload(**changes: Any) -> dict[str, Any]:
    given = {"task": "text-to-image", "id": "a", "model": TURBO, "prompt": "a cat", "width": 256, "height": 256}
    return {**given, "seed": 7, "format": "png", **changes}


def asked(**changes: Any) -> PaintRequest:
    return PaintRequest.of(json.dumps(payload(**changes)).encode())


def call(port: int, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def invoke(port: int, **changes: Any) -> Answer:
    return call(port, "POST", "/invocations", json.dumps(payload(**changes)).encode())


def figure(port: int, name: str) -> float:
    text = call(port, "GET", "/metrics").body.decode()
    return float(next(line for line in text.splitlines() if line.startswith(name)).rsplit(" ", 1)[1])


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(worker: Worker) -> Iterator[int]:
    """The port of that worker, served by a thread of this process."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(worker.app, http="h11", ws="none", lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(WAIT)
        assert not thread.is_alive()

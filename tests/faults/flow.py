"""Defines a flow: an operation of the service whose AWS calls can fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.api.client import Answer
from tests.faults.world import World

KEY = {"Idempotency-Key": "k1"}
ASYNC = {"Prefer": "respond-async"}


@dataclass(frozen=True)
class Flow:
    """`right`: what the client may be told, beside a clean 503. `jobs`: how many there are in the end."""

    act: Callable[[World], Answer | None]
    right: tuple[int, ...] = (200,)
    jobs: int = 1
    providers: tuple[str, ...] = ("demo",)
    prepare: Callable[[World], None] = lambda _world: None
    repeats: bool = False  # the same request may be sent again under its key, and is answered by the same jobs
    limited: bool = True
    cost: int = 1  # generating requests that it counts as
    jobs_may_lack: bool = False  # where the request is refused without a key, there may be none
    check: Callable[[World], None] = lambda _world: None


def post(path: str, body: dict[str, Any], **headers: str) -> Callable[[World], Answer]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda world: world.client("POST", path, body, sent)

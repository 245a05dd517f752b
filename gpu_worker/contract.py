"""The wire of the GPU worker: what `POST /invocations` takes, what it answers, and how it refuses.

Request: one JSON object, one image. `task`, `id`, `model`, `prompt`, `width`, `height`, `seed` and `format` are always
there; `negative_prompt`, `steps` and `guidance` are left out where the model's own defaults shall hold; `image` (base64
of a PNG, JPEG or WebP) is there exactly where the task starts from an image. A field of another name is refused.

    {"task": "text-to-image", "id": "3f1c9a52-0c55-4b7e-9d2e-1f4d7a3b9c10", "model": "stabilityai/sdxl-turbo",
     "prompt": "a cat", "width": 512, "height": 512, "steps": 1, "guidance": 0.0, "seed": 7, "format": "png"}

200: {"id", "model", "seed", "width", "height", "format", "image": base64, "timings": {"queue", "paint", "encode"}}, in
seconds; `id` is the request's, so that an answer can never be taken for another's. The same request is the same image.
Every other status, by the error's code as in STATUSES: {"error": {"code", "message", "retry_after"}}. `retry_after`, in
seconds or null, is in the body because SageMaker hands on no headers; over plain HTTP it is the header Retry-After too.
SageMaker's own limits hold behind it: 6 MB each way and 60 s for a call that waits, 1 GB and an hour through S3.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, fields
from typing import Any, Final

TASKS: Final = ("text-to-image", "image-to-image")
FORMATS: Final = ("png", "jpeg", "webp")

# The codes of the refusals and the status that each comes with.
STATUSES: Final = {
    "invalid_request": 400,
    "unknown_model": 400,
    "too_large": 413,
    "content_policy": 422,
    "failed": 500,
    "busy": 503,
    "timeout": 504,
}

MAX_BODY: Final = 16_000_000
MAX_PROMPT: Final = 10_000
MIN_SIDE: Final = 256
MAX_SIDE: Final = 2048
SIDE_STEP: Final = 8
MAX_STEPS: Final = 150
MAX_GUIDANCE: Final = 30.0
MAX_SEED: Final = 2**32 - 1


class Refusal(Exception):
    """A request that is not painted. `retry_after` in seconds where trying again may help."""

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        return STATUSES[self.code]

    def to_json(self) -> bytes:
        error = {"code": self.code, "message": self.message, "retry_after": self.retry_after}
        return json.dumps({"error": error}).encode()


@dataclass(frozen=True, slots=True)
class PaintRequest:
    """One image to be painted, checked. `None` leaves it to the model."""

    task: str
    id: str
    model: str
    prompt: str = field(repr=False)
    width: int
    height: int
    seed: int
    format: str
    negative_prompt: str | None = field(default=None, repr=False)
    steps: int | None = None
    guidance: float | None = None
    image: bytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, body: bytes) -> PaintRequest:
        """Read a request. Raises Refusal with a message that names the field, never what was in it."""
        if len(body) > MAX_BODY:
            raise Refusal("too_large", f"the body must be at most {MAX_BODY} bytes")
        try:
            sent = json.loads(body)
        except (ValueError, RecursionError):
            raise Refusal("invalid_request", "the body must be JSON") from None
        if not isinstance(sent, dict):
            raise Refusal("invalid_request", "the body must be a JSON object")
        if unknown := sorted(sent.keys() - {f.name for f in fields(cls)}):
            raise Refusal("invalid_request", f"unknown field: {unknown[0][:40]}")
        made = cls(
            task=_one_of(sent, "task", TASKS),
            id=_text(sent, "id", 64),
            model=_text(sent, "model", 200),
            prompt=_text(sent, "prompt", MAX_PROMPT),
            width=_side(sent, "width"),
            height=_side(sent, "height"),
            seed=_integer(sent, "seed", 0, MAX_SEED),
            format=_one_of(sent, "format", FORMATS),
            negative_prompt=_text(sent, "negative_prompt", MAX_PROMPT) if sent.get("negative_prompt") else None,
            steps=None if sent.get("steps") is None else _integer(sent, "steps", 1, MAX_STEPS),
            guidance=None if sent.get("guidance") is None else _number(sent, "guidance", MAX_GUIDANCE),
            image=None if sent.get("image") is None else _bytes(sent, "image"),
        )
        if (made.task == "text-to-image") == (made.image is not None):
            raise Refusal("invalid_request", "image must be there exactly where the task starts from an image")
        return made


@dataclass(frozen=True, slots=True)
class PaintAnswer:
    """An image that was painted. `timings` in seconds: queue, paint, encode."""

    id: str
    model: str
    seed: int
    width: int
    height: int
    format: str
    image: bytes = field(repr=False)
    timings: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> bytes:
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "image"}
        return json.dumps({**rest, "image": base64.b64encode(self.image).decode()}).encode()


def _text(sent: dict[str, Any], name: str, longest: int) -> str:
    value = sent.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise Refusal("invalid_request", f"{name} must be a text of 1 to {longest} characters")
    return value


def _one_of(sent: dict[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = sent.get(name)
    if not isinstance(value, str) or value not in known:
        raise Refusal("invalid_request", f"{name} must be one of: {', '.join(known)}")
    return value


def _integer(sent: dict[str, Any], name: str, least: int, most: int) -> int:
    value = sent.get(name)
    if type(value) is not int or not least <= value <= most:
        raise Refusal("invalid_request", f"{name} must be a whole number from {least} to {most}")
    return value


def _side(sent: dict[str, Any], name: str) -> int:
    side = _integer(sent, name, MIN_SIDE, MAX_SIDE)
    if side % SIDE_STEP:
        raise Refusal("invalid_request", f"{name} must be a multiple of {SIDE_STEP}")
    return side


def _number(sent: dict[str, Any], name: str, most: float) -> float:
    value = sent.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise Refusal("invalid_request", f"{name} must be a number from 0 to {most:g}")
    return float(value)


def _bytes(sent: dict[str, Any], name: str) -> bytes:
    try:
        data = base64.b64decode(sent[name], validate=True)
    except (ValueError, TypeError):
        data = b""
    if not data:
        raise Refusal("invalid_request", f"{name} must be base64 of an image")
    return data

"""Defines and checks the worker's wire format: the requests, answers and errors of `POST /invocations`.

Request: one JSON object for one image. `task`, `id`, `model`, `prompt`, `width`, `height`, `seed` and `format` are
required. `negative_prompt`, `steps` and `guidance` default to the model's own values. `image` (base64 of a PNG, JPEG or
WebP) is required for a task that starts from an image and refused for others. An unknown field is refused.

    {"task": "text-to-image", "id": "3f1c9a52-0c55-4b7e-9d2e-1f4d7a3b9c10", "model": "stabilityai/sdxl-turbo",
     "prompt": "a cat", "width": 512, "height": 512, "steps": 1, "guidance": 0.0, "seed": 7, "format": "png"}

The task `background` generates a scene around the product in `image` and keeps the product's pixels. Only this task
takes `padding` (pixels) and `candidates` (the number of scenes to choose the best from). Its `prompt` is optional; the
model then chooses the scene. `width` and `height` are optional together: the answer then has the size of the product
plus the padding or, without a padding, of the photo.

200: {"id", "model", "seed", "width", "height", "format", "image": base64, "timings": {"queue", "paint", "encode"}};
timings in seconds, with "load", of the model's last load, where this process has loaded it. `id` is the request's id,
so that no answer is taken for another request's. The same request gives the same image. Optional: `warnings`
(sentences) and, for some tasks, `mask` (base64 of a PNG), `confidence` (0 to 1), `components` (the parts of the
confidence, each a number or null) and `at`. `at` is [x, y], the position of the upload's top-left corner in the answer,
in whole pixels, negative if it lies outside. Where the mask is 255, the answer's pixel (x + i, y + j) is the upload's
pixel (i, j).

`{"task": "purge", "model_id": null}` unloads one model, or all for null: {"model_id", "removed", "remaining"}. It
exists beside the path `/models/purge` because SageMaker forwards no other path than `/invocations`. Every other status
follows from the error's code, see STATUSES: {"error": {"code", "message", "retry_after"}}. `retry_after` (seconds or
null) is in the body because SageMaker forwards no headers; plain HTTP also has the header Retry-After. SageMaker's own
limits apply too: 6 MB each way and 60 s for a synchronous call, 1 GB and one hour through S3.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

TASKS: Final = ("text-to-image", "image-to-image", "background")
FORMATS: Final = ("png", "jpeg", "webp")

# Error code -> HTTP status.
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
MIN_SIDE: Final = 64  # of the wire format; a model may require more
MAX_SIDE: Final = 2048
SIDE_STEP: Final = 8
MIN_CANVAS: Final = 16  # of a background's answer; the scene itself is generated at a size of the model
MAX_CANVAS: Final = 4096
MAX_PADDING: Final = 2048
MAX_CANDIDATES: Final = 4
MAX_STEPS: Final = 150
MAX_GUIDANCE: Final = 30.0
MAX_SEED: Final = 2**32 - 1
NOT_EXACT: Final = "a JPEG does not keep the product's pixels exactly; png and webp do"


class Refusal(Exception):
    """An error answer. `code` is a key of STATUSES; `retry_after` is in seconds, set if a retry may help."""

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
    """A validated request for one image. `None` selects the model's default; so do sides of 0 and an empty prompt."""

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
    padding: int | None = None
    candidates: int | None = None

    @classmethod
    def of(cls, body: bytes) -> PaintRequest:
        """Parse a request. Raises Refusal; its message names the field but never quotes a value."""
        return cls._of(_object(body))

    @classmethod
    def _of(cls, sent: dict[str, Any]) -> PaintRequest:
        _only(sent, {f.name for f in fields(cls)})
        task = _one_of(sent, "task", TASKS)
        scene = task == "background"
        if not scene and (odd := [name for name in ("padding", "candidates") if sent.get(name) is not None]):
            raise Refusal("invalid_request", f"{odd[0]} goes with the task background")
        own_size = scene and sent.get("width") is None and sent.get("height") is None
        made = cls(
            task=task,
            id=_text(sent, "id", 64),
            model=_text(sent, "model", 200),
            prompt="" if scene and sent.get("prompt") in (None, "") else _text(sent, "prompt", MAX_PROMPT),
            width=0 if own_size else _side(sent, "width", scene),
            height=0 if own_size else _side(sent, "height", scene),
            seed=_integer(sent, "seed", 0, MAX_SEED),
            format=_one_of(sent, "format", FORMATS),
            negative_prompt=_text(sent, "negative_prompt", MAX_PROMPT) if sent.get("negative_prompt") else None,
            steps=None if sent.get("steps") is None else _integer(sent, "steps", 1, MAX_STEPS),
            guidance=None if sent.get("guidance") is None else _number(sent, "guidance", MAX_GUIDANCE),
            image=None if sent.get("image") is None else _bytes(sent, "image"),
            padding=None if sent.get("padding") is None else _integer(sent, "padding", 0, MAX_PADDING),
            candidates=None if sent.get("candidates") is None else _integer(sent, "candidates", 1, MAX_CANDIDATES),
        )
        if (made.task == "text-to-image") == (made.image is not None):
            raise Refusal("invalid_request", "image must be there exactly where the task starts from an image")
        return made


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """A request to unload a model; `None` means all models."""

    model_id: str | None = None

    @classmethod
    def of(cls, body: bytes) -> PurgeRequest:
        """Parse the body of `/models/purge`, which may be empty or lack `task`. Raises Refusal."""
        return cls._of({"task": "purge", **(_object(body) if body.strip() else {})})

    @classmethod
    def _of(cls, sent: dict[str, Any]) -> PurgeRequest:
        _only(sent, {"task", "model_id"})
        _one_of(sent, "task", ("purge",))
        return cls(None if sent.get("model_id") is None else _text(sent, "model_id", 200))


def read(body: bytes) -> PaintRequest | PurgeRequest:
    """Parse the body of `/invocations`. Raises Refusal; its message never quotes a value."""
    sent = _object(body)
    return PurgeRequest._of(sent) if sent.get("task") == "purge" else PaintRequest._of(sent)


@dataclass(frozen=True, slots=True)
class PaintAnswer:
    """A generated image. `timings` (queue, paint, encode, load) in seconds; `mask` is a PNG; `at` is (x, y)."""

    id: str
    model: str
    seed: int
    width: int
    height: int
    format: str
    image: bytes = field(repr=False)
    timings: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    mask: bytes | None = field(default=None, repr=False)
    confidence: float | None = None
    components: Mapping[str, float | None] | None = None
    at: tuple[int, int] | None = None

    def to_json(self) -> bytes:
        said = {f.name: getattr(self, f.name) for f in fields(self)}
        said |= {name: base64.b64encode(data).decode() for name, data in said.items() if isinstance(data, bytes)}
        return json.dumps({name: value for name, value in said.items() if value not in (None, ())}).encode()


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY:
        raise Refusal("too_large", f"the body must be at most {MAX_BODY} bytes")
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal("invalid_request", "the body must be JSON") from None
    if not isinstance(sent, dict):
        raise Refusal("invalid_request", "the body must be a JSON object")
    return sent


def _only(sent: dict[str, Any], known: set[str]) -> None:
    if unknown := sorted(sent.keys() - known):
        raise Refusal("invalid_request", f"unknown field: {unknown[0][:40]}")


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


def _side(sent: dict[str, Any], name: str, canvas: bool) -> int:
    if canvas:
        return _integer(sent, name, MIN_CANVAS, MAX_CANVAS)
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

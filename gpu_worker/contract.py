"""The wire of the GPU worker: what `POST /invocations` takes, what it answers, and how it refuses.

Request: one JSON object, one image. `task`, `id`, `model`, `prompt`, `width`, `height`, `seed` and `format` are always
there; `negative_prompt`, `steps` and `guidance` are left out where the model's own defaults shall hold; `image` (base64
of a PNG, JPEG or WebP) is there exactly where the task starts from an image. A field of another name is refused.

    {"task": "text-to-image", "id": "3f1c9a52-0c55-4b7e-9d2e-1f4d7a3b9c10", "model": "stabilityai/sdxl-turbo",
     "prompt": "a cat", "width": 512, "height": 512, "steps": 1, "guidance": 0.0, "seed": 7, "format": "png"}

The task `background` paints a scene around the product in `image`, whose pixels stay as they are. `padding` (pixels)
and `candidates` (scenes to choose the best of) go with it alone. There `prompt` may be left out, which leaves the scene
to the model, and so may `width` and `height`, together: the answer is then the product's own size and the padding.

200: {"id", "model", "seed", "width", "height", "format", "image": base64, "timings": {"queue", "paint", "encode"}}, in
seconds; `id` is the request's, so that an answer can never be taken for another's. The same request is the same image.
`warnings` (sentences) is there where there are any; `mask` (base64 of a PNG), `confidence` (0 to 1), `components` (what
that is made of, each a number or null) and `at` where the task has them. `at` is [x, y]: where the upload's top-left
corner lies in the answer, in whole pixels, negative where the answer does not show it. Where the mask is 255, the pixel
(x + i, y + j) of the answer is the upload's (i, j).

`{"task": "purge", "model_id": null}` takes one model, or all, out of memory: {"model_id", "removed", "remaining"}. It
is here besides its own path because SageMaker reaches no other path than this.
Every other status, by the error's code as in STATUSES: {"error": {"code", "message", "retry_after"}}. `retry_after`, in
seconds or null, is in the body because SageMaker hands on no headers; over plain HTTP it is the header Retry-After too.
SageMaker's own limits hold behind it: 6 MB each way and 60 s for a call that waits, 1 GB and an hour through S3.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

TASKS: Final = ("text-to-image", "image-to-image", "background")
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
MIN_SIDE: Final = 64  # on the wire; each model says itself what it takes at least
MAX_SIDE: Final = 2048
SIDE_STEP: Final = 8
MIN_CANVAS: Final = 16  # a canvas is what a background's answer measures; no model paints it as a whole
MAX_CANVAS: Final = 4096
MAX_PADDING: Final = 2048
MAX_CANDIDATES: Final = 4
MAX_STEPS: Final = 150
MAX_GUIDANCE: Final = 30.0
MAX_SEED: Final = 2**32 - 1
NOT_EXACT: Final = "a JPEG does not keep the product's pixels exactly; png and webp do"


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
    """One image to be painted, checked. `None` leaves it to the model; so do the sides 0 and an empty prompt."""

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
        """Read a request. Raises Refusal with a message that names the field, never what was in it."""
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
    """A model to be taken out of memory; `None` is all of them."""

    model_id: str | None = None

    @classmethod
    def of(cls, body: bytes) -> PurgeRequest:
        """Read the body of the purge's own path, where it may be empty and `task` may be left out. Raises Refusal."""
        return cls._of({"task": "purge", **(_object(body) if body.strip() else {})})

    @classmethod
    def _of(cls, sent: dict[str, Any]) -> PurgeRequest:
        _only(sent, {"task", "model_id"})
        _one_of(sent, "task", ("purge",))
        return cls(None if sent.get("model_id") is None else _text(sent, "model_id", 200))


def read(body: bytes) -> PaintRequest | PurgeRequest:
    """Read whatever `/invocations` was sent. Raises Refusal, whose message never says what was in it."""
    sent = _object(body)
    return PurgeRequest._of(sent) if sent.get("task") == "purge" else PaintRequest._of(sent)


@dataclass(frozen=True, slots=True)
class PaintAnswer:
    """An image that was painted. `timings` in seconds: queue, paint, encode. `mask` is a PNG; `at` is x and y."""

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

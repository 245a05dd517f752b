"""A strict double of Runware: one URL for all tasks, asynchronous delivery, and images on their own path."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from typing import Any, ClassVar

from jsonschema_rs import Draft202012Validator

from tests.doubles.service import FakeService, RefusedError, Reply, Request, json_reply, paint

KEY = "rw-test-key"
UUID4 = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
IMAGE = {"type": "string", "pattern": "^(data:image/(png|jpeg|webp);base64,|https?://|[0-9a-f-]{36}$)"}


def _error(status: int, code: str, message: str = "No.", paid: bool = False, **more: Any) -> Reply:
    hint = more.pop("hint", None)
    reply = json_reply(
        status, {"errors": [{"code": code, "message": message, "taskType": "imageInference", **more}]}, paid
    )
    if hint:
        reply.headers["Retry-After"] = hint
    return reply


def _model(least: int, *names: str, **more: Any) -> Draft202012Validator:
    side = {"type": "integer", "minimum": least, "maximum": 2048, "multipleOf": 64}
    optional = {
        "steps": {"type": "integer", "minimum": 1, "maximum": 100},
        "CFGScale": {"type": "number", "minimum": 0, "maximum": 50},
        "negativePrompt": {"type": "string", "minLength": 2, "maxLength": 3000},
        "safety": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"checkContent": {"type": "boolean"}, "mode": {"enum": ["none", "fast", "full"]}},
        },
    }
    return Draft202012Validator(
        {
            "type": "object",
            "required": ["taskType", "taskUUID", "model", "positivePrompt", "width", "height", "deliveryMethod"],
            "additionalProperties": False,
            "properties": {
                "taskType": {"const": "imageInference"},
                "taskUUID": {"type": "string", "pattern": UUID4},
                "model": {"type": "string"},
                "positivePrompt": {"type": "string", "minLength": 2, "maxLength": 3000},
                "width": side,
                "height": side,
                "seed": {"type": "integer", "minimum": 1, "maximum": 9223372036854775807},
                "numberResults": {"type": "integer", "minimum": 1, "maximum": 20},
                "outputType": {"const": "URL"},
                "outputFormat": {"enum": ["JPG", "PNG", "WEBP"]},
                "deliveryMethod": {"const": "async"},
                "includeCost": {"type": "boolean"},
                **{name: optional[name] for name in names},
                **more,
            },
        }
    )


def _inputs(name: str, of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {name: of}}


_SEED_IMAGE = _inputs("seedImage", IMAGE)
_REFERENCES = _inputs("referenceImages", {"type": "array", "maxItems": 4, "items": IMAGE})
MODELS = {
    "runware:101@1": _model(128, "steps", "CFGScale", "negativePrompt", "safety", inputs=_SEED_IMAGE),
    "runware:100@1": _model(128, "steps", "CFGScale", "negativePrompt", "safety"),
    "runware:400@1": _model(256, "steps", "CFGScale", "safety", inputs=_REFERENCES),
    "bfl:5@1": _model(256, inputs=_REFERENCES),
}
PRICES = {"runware:101@1": 0.0038, "runware:100@1": 0.0013, "runware:400@1": 0.012, "bfl:5@1": 0.03}  # USD, each image


@dataclass(frozen=True)
class Task:
    body: dict[str, Any]
    ready_at: float
    fault: str | None


class FakeRunware(FakeService):
    """`RUNWARE_BASE_URL` is `base_url`; the key is `KEY`."""

    refusals: ClassVar[dict[str, Reply]] = {
        "throttle": _error(429, "rateLimitExceeded"),
        "throttle_hint": _error(429, "rateLimitExceeded", hint="3"),
        "internal": _error(500, "internalServerError", paid=True),
        "unavailable": _error(503, "serviceUnavailable"),
        "bad_gateway": Reply(502, b"<html>502</html>", {"Content-Type": "text/html"}, paid=True),
        "provider_timeout": _error(504, "timeoutProvider", paid=True),
        "moderated": _error(400, "contentPolicyViolation", parameter="positivePrompt"),
        "moderated_by_host": _error(400, "providerContentPolicyViolation"),
        "out_of_credit": _error(402, "insufficientCredits"),
        "out_of_credit_unnamed": _error(402, "paymentRequired"),
        "not_authorized": _error(401, "invalidApiKey", f"Invalid API key {KEY}.", parameter="apiKey"),
        "edge_page": Reply(403, b"<html>403</html>", {"Content-Type": "text/html"}),
        "gone": _error(404, "modelNotFound", parameter="model"),
        "invalid": _error(400, "invalidValue", "Width is wrong.", parameter=["width", "height"]),
        "invalid_under_200": _error(200, "invalidValue", "Width is wrong.", parameter="width"),
        "single_error": json_reply(400, {"error": {"code": "invalidValue", "message": "Width is wrong."}}),
        "unknown_error": _error(200, "somethingNew", paid=True),
        "nonsense": json_reply(200, {"data": [{"taskUUID": "another"}]}, paid=True),
        "list": json_reply(200, [1], paid=True),
        "sign_in_page": Reply(200, b"<html>Sign in to the network</html>", paid=True),
    }
    own: ClassVar[dict[str, str]] = {
        **dict.fromkeys(["failed_job", "throttled_job", "moderated_job"], "work"),
        **dict.fromkeys(["failed_item", "moderated_item", "unpaid_item", "flat_item"], "work"),
        **dict.fromkeys(["moderated_image", "two_images", "no_address", "private_address"], "work"),
        **dict.fromkeys(["forgotten", "nothing_yet"], "ask"),
    }

    def __init__(self, port: int = 0, seconds: float = 0.0) -> None:
        super().__init__(port, seconds)
        self.tasks: dict[str, Task] = {}

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def price(self, model: str, body: dict[str, Any], kind: str | None) -> float:
        return PRICES[model] * (2 if kind == "two_images" else 1)

    def route(self, request: Request) -> Reply:
        if found := re.fullmatch(r"/image/([0-9a-f-]{36})\.(png|jpg|webp)", request.path):
            return self.download(lambda: _picture(self.tasks[found[1]].body), f"image/{found[2]}")
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            raise RefusedError(self.refusals["not_authorized"])
        try:
            tasks = json.loads(request.body)
        except ValueError:
            tasks = None
        if request.path != "/v1" or not isinstance(tasks, list) or len(tasks) != 1 or not isinstance(tasks[0], dict):
            raise RefusedError(_error(400, "invalidRequest", "One array with one task."))
        task = tasks[0]
        if task.get("taskType") == "getResponse" and set(task) == {"taskType", "taskUUID"}:
            return self.ask(lambda kind: self._state(task["taskUUID"], kind))
        self._check(task)
        return self.work(task["model"], task, lambda seconds, kind: self._begin(task, seconds, kind))

    def _check(self, task: dict[str, Any]) -> None:
        if task.get("model") not in MODELS:
            raise RefusedError(_error(400, "invalidModel", parameter="model"))
        for wrong in MODELS[task["model"]].iter_errors(task):
            at = "/".join(str(part) for part in wrong.instance_path)
            raise RefusedError(_error(400, "invalidValue", f"{at} breaks {type(wrong.kind).__name__}.", parameter=at))
        if task["taskUUID"] in self.tasks:
            raise RefusedError(_error(400, "duplicateTaskUUID", "taskUUID must be unique.", parameter="taskUUID"))

    def _begin(self, task: dict[str, Any], seconds: float, kind: str | None) -> Reply:
        self.tasks[task["taskUUID"]] = Task(task, self.now() + seconds, kind)
        return json_reply(200, {"data": [{"taskType": "imageInference", "taskUUID": task["taskUUID"]}]})

    def _state(self, task_id: str, kind: str | None) -> Reply:
        known = self.tasks.get(task_id)
        if known is None or kind == "forgotten":
            wrong = {"code": "taskNotFound", "message": "No such task.", "taskType": "getResponse", "taskUUID": task_id}
            return json_reply(404, {"errors": [wrong]})
        if kind == "nothing_yet":
            return json_reply(200, {"data": []})
        item = {"taskType": "imageInference", "taskUUID": task_id}
        if self.now() < known.ready_at:
            return json_reply(200, {"data": [{**item, "status": "processing"}]})
        if known.fault in ENDS:
            status, place, code = ENDS[known.fault]
            said: dict[str, Any] = {"code": code, "message": "It failed."}
            if place == "data" and known.fault != "flat_item":
                said = {"error": said}  # as the official SDK reads it
            return json_reply(status, {place: [{**item, "status": "error", **said}]})
        fmt = known.body.get("outputFormat", "JPG").lower()
        url = f"{self.url}/image/{task_id}.{fmt}"
        if known.fault == "private_address":
            url = "https://[::ffff:169.254.169.254]/"
        done = {
            **item,
            "status": "success",
            "imageUUID": str(uuid.uuid4()),
            "imageURL": url,
            "seed": known.body.get("seed", 1),
            "cost": PRICES[known.body["model"]],
            "NSFWContent": known.fault == "moderated_image",
        }
        if known.fault == "no_address":
            done["imageURL"] = None
        more = [{**done, "imageUUID": str(uuid.uuid4())}] if known.fault == "two_images" else []
        return json_reply(200, {"data": [done, *more]})


# How a task ends: HTTP status of the answer about it, where the error stands, its code.
ENDS = {
    "failed_job": (200, "errors", "inferenceError"),
    "failed_item": (200, "data", "inferenceError"),
    "moderated_item": (200, "data", "invalidProviderContent"),
    "unpaid_item": (200, "data", "insufficientCredits"),
    "flat_item": (200, "data", "inferenceError"),
    "moderated_job": (400, "errors", "invalidProviderContent"),
    "throttled_job": (200, "errors", "rateLimitExceeded"),
}


def _picture(body: dict[str, Any]) -> bytes:
    said = json.dumps({name: body.get(name) for name in ("positivePrompt", "seed", "steps", "CFGScale", "inputs")})
    fmt = {"JPG": "JPEG"}.get(body.get("outputFormat", "JPG"), body.get("outputFormat", "JPEG"))
    return paint(said, (body["width"], body["height"]), fmt)

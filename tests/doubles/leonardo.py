"""A strict double of Leonardo.Ai: v2 creates, v1 gives the state, and the images have their own CDN path."""

from __future__ import annotations

import base64
import json
import re
import uuid
from dataclasses import dataclass
from typing import Any, ClassVar

from jsonschema_rs import Draft202012Validator

from tests.doubles.service import FakeService, RefusedError, Reply, Request, json_reply, paint

KEY = "0c2f1c8e-6f4e-4d0a-9a58-3f6f2f1c8e01"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _error(status: int, message: str, code: str = "unexpected", paid: bool = False, **headers: str) -> Reply:
    return json_reply(status, {"error": message, "path": "$", "code": code}, paid, **headers)


def _model(least: int, most: int, prompt: int, **more: Any) -> Draft202012Validator:
    side = {"type": "integer", "minimum": least, "maximum": most, "multipleOf": 8}
    parameters = {
        "prompt": {"type": "string", "minLength": 1, "maxLength": prompt},
        "width": side,
        "height": side,
        "quantity": {"type": "integer", "minimum": 1, "maximum": 8},
        "seed": {"type": "integer", "minimum": 0, "maximum": 2147483637},
        "style_ids": {"type": "array", "maxItems": 1, "items": {"type": "string", "pattern": UUID.pattern}},
        "prompt_enhance": {"enum": ["ON", "OFF", "AUTO"]},
        **more,
    }
    inside = {"type": "object", "required": ["prompt"], "additionalProperties": False, "properties": parameters}
    body = {"model": {"type": "string"}, "public": {"type": "boolean"}, "parameters": inside}
    return Draft202012Validator(
        {"type": "object", "required": ["model", "parameters"], "additionalProperties": False, "properties": body}
    )


_GUIDE = {
    "type": "object",
    "required": ["image"],
    "additionalProperties": False,
    "properties": {
        "strength": {"enum": ["LOW", "MID", "HIGH"]},
        "image": {
            "type": "object",
            "required": ["type", "data"],
            "additionalProperties": False,
            "properties": {"type": {"const": "BASE64"}, "data": {"type": "string", "minLength": 1}},
        },
    },
}
_GUIDES = {"type": "array", "maxItems": 1, "items": _GUIDE}
MODELS = {
    "flux-dev": _model(
        480,
        2048,
        2000,
        guidances={
            "type": "object",
            "additionalProperties": False,
            "properties": {"content": _GUIDES, "style": _GUIDES},
        },
    ),
    "phoenix-v1.0": _model(
        32,
        2048,
        2000,
        negative_prompt={"type": "string", "maxLength": 1000},
        mode={"enum": ["FAST", "QUALITY", "ULTRA"]},
        contrast={"enum": ["LOW", "MEDIUM", "HIGH"]},
    ),
    "lucid-origin": _model(16, 3840, 2000, mode={"enum": ["FAST", "ULTRA"]}),
}
# What the two lists tell of them: a name that is shown and an id, never the name of API v2.
NAMES = {
    "Flux Dev": "b2614463-296c-462a-9586-aafdb8f00e36",
    "Phoenix 1.0": "de7d3faf-762f-48e0-b3b7-9d0ac3a3fcf3",
    "Lucid Origin": "7b592283-e8a7-4c5a-9ba6-d18c31f258b9",
}


@dataclass(frozen=True)
class Generation:
    parameters: dict[str, Any]
    ready_at: float
    fault: str | None


class FakeLeonardo(FakeService):
    """`LEONARDO_BASE_URL` is `base_url`; the key is `KEY`. `usd` is what an image costs."""

    usd = 0.0147

    refusals: ClassVar[dict[str, Reply]] = {
        "throttle": _error(429, "Rate limit exceeded"),
        "throttle_hint": _error(429, "Rate limit exceeded", Retry_After="3"),
        "internal": _error(500, "Service Error", paid=True),
        "unavailable": Reply(503, b"<html>503</html>", {"Content-Type": "text/html"}),
        "bad_gateway": Reply(502, b"<html>502</html>", {"Content-Type": "text/html"}, paid=True),
        "gateway_timeout": Reply(524, b"<html>524</html>", {"Content-Type": "text/html"}, paid=True),
        "moderated": _error(400, "Request blocked by the content moderation filter.", "bad-request"),
        "moderated_403": _error(403, "Your prompt appears to contain inappropriate content", "access-denied"),
        "out_of_credit": _error(402, "Payment required"),
        "out_of_tokens": _error(400, "Not enough API tokens to complete the generation", "bad-request"),
        "not_authorized": _error(401, "Authentication hook unauthorized this request", "access-denied"),
        "key_no_uuid": _error(500, "Invalid response from authorization hook"),
        "no_rest": Reply(403, b"<html>Cloudflare</html>", {"Content-Type": "text/html"}),
        "gone": _error(400, "old-model is not supported within the Production API", "bad-request"),
        "invalid": _error(400, "invalid dimensions", "validation-failed"),
        "null_variable": json_reply(
            200, {"errors": [{"message": "expecting a value for non-nullable variable"}]}, paid=True
        ),
        "graphql_list": json_reply(400, [{"message": "invalid dimensions", "extensions": {"code": "bad-request"}}]),
        "nonsense": json_reply(200, {"generationId": "../../me"}, paid=True),
        "sign_in_page": Reply(200, b"<html>Sign in to the network</html>", paid=True),
    }
    own: ClassVar[dict[str, str]] = {
        **dict.fromkeys(["moderated_job", "judged_job", "text_seed"], "work"),
        **dict.fromkeys(["failed_job", "moderated_image", "no_image", "two_images", "private_address"], "work"),
        **dict.fromkeys(["form_flat", "form_v1", "no_cost"], "work"),
        **dict.fromkeys(["forgotten", "unknown_form", "new_status"], "ask"),
    }

    def __init__(self, port: int = 0, seconds: float = 0.0) -> None:
        super().__init__(port, seconds)
        self.generations: dict[str, Generation] = {}
        self.listed = {"v2": ["Flux Dev", "Motion 2.0"], "v1": ["Phoenix 1.0", "Lucid Origin"]}

    @property
    def base_url(self) -> str:
        return f"{self.url}/api/rest"

    def price(self, model: str, body: dict[str, Any], kind: str | None) -> float:
        return self.usd

    def route(self, request: Request) -> Reply:
        if found := re.fullmatch(r"/cdn/([0-9a-f-]{36})\.jpg", request.path):
            if "Authorization" in request.headers:
                raise RefusedError(Reply(403))
            name = found[1]
            return self.download(lambda: _picture(self.generations[name].parameters), "image/jpeg")
        key = (request.headers.get("Authorization") or "").removeprefix("Bearer ")
        if not UUID.fullmatch(key):
            raise RefusedError(self.refusals["key_no_uuid"])
        if key != KEY:
            raise RefusedError(self.refusals["not_authorized"])
        if request.method == "POST" and request.path == "/api/rest/v2/generations":
            body = _checked(request)
            return self.work(
                body["model"], body["parameters"], lambda s, kind: self._create(body["parameters"], s, kind)
            )
        if found := re.fullmatch(r"/api/rest/v1/generations/([0-9a-f-]{36})", request.path):
            return self.ask(lambda kind: self._state(found[1], kind))
        if request.method == "GET" and (told := self._told().get(request.path)):
            return self.ask(lambda kind: Reply(200, b"<html>") if kind == "html" else json_reply(200, told))
        raise RefusedError(_error(404, "not found"))

    def _told(self) -> dict[str, dict[str, Any]]:
        """The account and the lists of models, by path."""
        rows = {
            v: [{"id": NAMES.get(name, str(uuid.uuid4())), "name": name} for name in self.listed[v]]
            for v in self.listed
        }
        return {
            "/api/rest/v1/me": {"user_details": [{"apiPaidTokens": 1000, "apiConcurrencySlots": 10}]},
            "/api/rest/v2/models": {"productionApiAvailableModels": [{**row, "parameters": {}} for row in rows["v2"]]},
            "/api/rest/v1/platformModels": {"custom_models": [{**row, "nsfw": False} for row in rows["v1"]]},
        }

    def _create(self, parameters: dict[str, Any], seconds: float, kind: str | None) -> Reply:
        generation = str(uuid.uuid4())
        self.generations[generation] = Generation(parameters, self.now() + seconds, kind)
        cost = {"amount": str(self.usd), "unit": "DOLLARS"}
        seen = {"generationId": generation, "apiCreditCost": None, "cost": cost}
        if kind == "form_flat":
            return json_reply(200, {"generationId": generation, "apiCreditCost": 7})
        if kind == "no_cost":
            return json_reply(200, {"generate": {**seen, "cost": {"amount": "-3", "unit": "DOLLARS"}}})
        return json_reply(200, {"sdGenerationJob" if kind == "form_v1" else "generate": seen})

    def _state(self, generation: str, kind: str | None) -> Reply:
        known = self.generations.get(generation)
        if known is None or kind == "forgotten":
            return json_reply(200, {"generations_by_pk": None})
        if kind == "unknown_form":
            return json_reply(200, ["?"])
        status = "COMPLETE" if self.now() >= known.ready_at else "PENDING"
        if kind == "new_status":
            status = "RETHINKING"
        if status == "COMPLETE" and known.fault in ("failed_job", "moderated_job", "judged_job"):
            status = "FAILED"
        url = f"{self.url}/cdn/{generation}.jpg"
        if known.fault == "private_address":
            url = "http://169.254.169.254/latest/meta-data"
        image = {"id": str(uuid.uuid4()), "url": url, "nsfw": known.fault == "moderated_image", "likeCount": 0}
        images = [image] * {"no_image": 0, "two_images": 2}.get(known.fault or "", 1) if status == "COMPLETE" else []
        answer = {
            "id": generation,
            "status": status,
            "generated_images": images,
            "seed": known.parameters.get("seed"),
            "prompt": known.parameters["prompt"],
        }
        if known.fault == "text_seed":  # as their example of a webhook has it
            answer["seed"] = str(answer["seed"])
        if known.fault in ("moderated_job", "judged_job"):  # judged: looked at, and of no class
            classes = ["SEXUAL"] if known.fault == "moderated_job" else []
            answer["prompt_moderations"] = [{"moderationClassification": classes}]
        return json_reply(200, {"generations_by_pk": answer})


def _checked(request: Request) -> dict[str, Any]:
    if request.headers.get("Content-Type") != "application/json":
        raise RefusedError(_error(400, "invalid content type", "bad-request"))
    try:
        body = json.loads(request.body)
        validator = MODELS[body["model"]]
    except (ValueError, KeyError, TypeError):
        raise RefusedError(_error(400, "model is not supported within the Production API", "bad-request")) from None
    for wrong in validator.iter_errors(body):
        at = "/".join(str(part) for part in wrong.instance_path)
        raise RefusedError(_error(400, f"{at} breaks the rule {type(wrong.kind).__name__}", "validation-failed"))
    for guides in body["parameters"].get("guidances", {}).values():
        for guide in guides:
            base64.b64decode(guide["image"]["data"], validate=True)
    return dict(body)


def _picture(parameters: dict[str, Any]) -> bytes:
    said = json.dumps({name: parameters.get(name) for name in ("prompt", "negative_prompt", "seed", "guidances")})
    return paint(said, (parameters.get("width", 1024), parameters.get("height", 1024)), "JPEG")

"""A strict double of the Gemini API's generateContent: input checks as Google's, pictures, and faults on demand.

What it can do besides: tests/doubles/service.py.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from typing import Any, ClassVar

from jsonschema_rs import Draft202012Validator

from tests.doubles.service import WIRE, FakeService, RefusedError, Reply, Request, json_reply, paint

KEY = "gemini-test-key"
RATIOS = {
    "1:1": (1024, 1024),
    "2:3": (848, 1264),
    "3:2": (1264, 848),
    "3:4": (896, 1200),
    "4:3": (1200, 896),
    "4:5": (928, 1152),
    "5:4": (1152, 928),
    "9:16": (768, 1376),
    "16:9": (1376, 768),
    "21:9": (1584, 672),
}
# The classes of size that each model knows, with the tokens of an image of it.
MODELS: dict[str, dict[str, int]] = {
    "gemini-nano-banana-2.1": {"1K": 1120, "2K": 1680, "4K": 2520},
    "gemini-3-pro-image": {"1K": 1120, "2K": 1120, "4K": 2000},
    "gemini-3.1-flash-lite-image": {"512": 747, "1K": 1120},
}
# USD per million tokens: of the prompt, of text, of an image.
RATES = {
    "gemini-nano-banana-2.1": (1.5, 7.5, 30.0),
    "gemini-3-pro-image": (2.0, 12.0, 120.0),
    "gemini-3.1-flash-lite-image": (0.25, 1.5, 30.0),
}

# Faults under which an answer has no counts, or none that can be read.
UNCOUNTED = WIRE | {"uncounted", "truncated_json", "list", "deep"}
ODD_BASE64 = ("url_safe_base64", "base64_in_lines")  # can be read all the same


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


def _schema(sizes: dict[str, int]) -> dict[str, Any]:
    image = {"enum": ["image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"]}
    parts = {
        "oneOf": [
            _closed(["text"], text={"type": "string", "minLength": 1, "maxLength": 120_000}),
            _closed(["inlineData"], inlineData=_closed(["mimeType", "data"], mimeType=image, data={"type": "string"})),
        ]
    }
    content = _closed(["parts"], role={"enum": ["user"]}, parts={"type": "array", "minItems": 1, "items": parts})
    config = _closed(
        [],
        responseModalities={"type": "array", "items": {"enum": ["TEXT", "IMAGE"]}},
        imageConfig=_closed([], aspectRatio={"enum": list(RATIOS)}, imageSize={"enum": list(sizes)}),
        seed={"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
        temperature={"type": "number", "minimum": 0, "maximum": 2},
        candidateCount={"enum": [1]},
    )
    return _closed(["contents"], contents={"type": "array", "minItems": 1, "items": content}, generationConfig=config)


VALIDATORS = {model: Draft202012Validator(_schema(sizes)) for model, sizes in MODELS.items()}


def error(code: int, status: str, message: str, *details: dict[str, Any]) -> Reply:
    """An error answer as Google words it."""
    said: dict[str, Any] = {"code": code, "message": message, "status": status}
    return json_reply(code, {"error": {**said, **({"details": list(details)} if details else {})}})


def _quota(metric: str, quota: str, value: str, delay: str | None = None) -> Reply:
    rpc = "type.googleapis.com/google.rpc."
    violation = {
        "quotaMetric": f"generativelanguage.googleapis.com/{metric}",
        "quotaId": quota,
        "quotaDimensions": {"location": "global", "model": "gemini-nano-banana-2.1"},
        "quotaValue": value,
    }
    links = [{"description": "Learn more", "url": "https://ai.google.dev/gemini-api/docs/rate-limits"}]
    details: list[dict[str, Any]] = [
        {"@type": f"{rpc}QuotaFailure", "violations": [violation]},
        {"@type": f"{rpc}Help", "links": links},
    ]
    if delay:
        details.append({"@type": f"{rpc}RetryInfo", "retryDelay": delay})
    return error(429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan.", *details)


def usage(image: int, text: int = 0, thoughts: int = 0, prompt: int = 12) -> dict[str, Any]:
    """The counts of tokens as Google states them."""
    details = [{"modality": "IMAGE", "tokenCount": image}] if image else []
    return {
        "promptTokenCount": prompt,
        "candidatesTokenCount": image + text,
        "candidatesTokensDetails": details + ([{"modality": "TEXT", "tokenCount": text}] if text else []),
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": prompt + image + text + thoughts,
    }


def _dollars(model: str, counts: dict[str, Any]) -> float:
    image = sum(row["tokenCount"] for row in counts["candidatesTokensDetails"] if row["modality"] == "IMAGE")
    text = counts["candidatesTokenCount"] - image + counts["thoughtsTokenCount"]
    prompt_rate, text_rate, image_rate = RATES[model]
    micros = counts["promptTokenCount"] * prompt_rate + text * text_rate + image * image_rate
    return float(round(micros / 1_000_000, 6))


def _ended(reason: str, *parts: dict[str, Any], image: int = 0) -> Reply:
    """An answer under HTTP 200 without a picture. `image`: the tokens of one that was made and then held back."""
    candidate: dict[str, Any] = {"finishReason": reason, "index": 0}
    if parts:
        candidate["content"] = {"role": "model", "parts": list(parts)}
    answer = {"candidates": [candidate], "usageMetadata": usage(image, text=20 if parts else 0)}
    return Reply(200, json.dumps(answer).encode(), {"Content-Type": "application/json"}, paid=bool(image))


_BAD_KEY = "API key not valid. Please pass a valid API key."


class FakeGemini(FakeService):
    """The developer API at `{url}/v1beta`."""

    refusals: ClassVar[dict[str, Reply]] = {
        "throttle": _quota("generate_content_requests", "GenerateRequestsPerMinutePerProjectPerModel", "20", "31s"),
        "throttle_plain": error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
        "quota_day": _quota("generate_requests_per_day", "GenerateRequestsPerDayPerProjectPerModel", "1000", "40s"),
        "quota_zero": _quota("free_tier_requests", "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "0", "9s"),
        "out_of_credit": error(402, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."),
        "bad_key": error(
            400,
            "INVALID_ARGUMENT",
            _BAD_KEY,
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "googleapis.com",
                "metadata": {"service": "generativelanguage.googleapis.com"},
            },
        ),
        "bad_key_plain": error(400, "INVALID_ARGUMENT", _BAD_KEY),
        "region": error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        "invalid": error(400, "INVALID_ARGUMENT", "Unable to process input image. Please retry or report."),
        "forbidden": error(403, "PERMISSION_DENIED", "Your project has been denied access."),
        "gone": error(404, "NOT_FOUND", "models/x is not found for API version v1beta, or is not supported."),
        "internal": error(500, "INTERNAL", "An internal error has occurred. Please retry."),
        "unavailable": error(503, "UNAVAILABLE", "This model is currently experiencing high demand."),
        "deadline": Reply(504, error(504, "DEADLINE_EXCEEDED", "The request timed out.").body, paid=True),
        "bad_gateway": Reply(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"}, paid=True),
        # These come under HTTP 200.
        "blocked_prompt": json_reply(
            200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": usage(0)}
        ),
        "moderated": _ended("IMAGE_SAFETY"),
        "moderated_image": _ended("PROHIBITED_CONTENT", image=1120),
        "recitation": _ended("IMAGE_RECITATION"),
        "no_image": _ended("NO_IMAGE"),
        "image_other": _ended("IMAGE_OTHER"),
        "failed_job": _ended("MALFORMED_RESPONSE"),
        "words": _ended("STOP", {"text": "I cannot draw that, but I can describe it."}),
        "draft_only": _ended("STOP", {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": True}),
        "no_candidates": json_reply(200, {"usageMetadata": usage(0)}),
    }
    own: ClassVar[dict[str, str]] = dict.fromkeys(
        [
            "draft_first",
            "jpeg",
            "wrong_base64",
            *ODD_BASE64,
            "no_picture",
            "truncated_json",
            "list",
            "deep",
            "uncounted",
        ],
        "work",
    )

    listed, page = ("gemini-2.5-pro", *MODELS, "gemini-embedding-001"), 2  # the list, and how much of it is a page

    def price(self, model: str, body: dict[str, Any], kind: str | None) -> float:
        """By the counts of the answer; where it has none, the list price."""
        if kind == "moderated_image":
            return _dollars(model, usage(1120))
        if kind in UNCOUNTED or kind in self.refusals:
            return _dollars(model, usage(MODELS[model]["1K"], prompt=0))
        size_class = body.get("generationConfig", {}).get("imageConfig", {}).get("imageSize", "1K")
        return _dollars(model, usage(MODELS[model][size_class], text=5, thoughts=100))

    def route(self, request: Request) -> Reply:
        if request.method == "GET" and request.path == "/v1beta/models":
            return self._list(request)
        found = re.fullmatch(r"/v1beta/models/([a-z0-9.-]+):generateContent", request.path)
        if request.method != "POST" or found is None:
            raise RefusedError(Reply(404, b""))
        if request.headers.get("x-goog-api-key") != KEY or request.query:  # a key in the address would be logged
            raise RefusedError(self.refusals["bad_key"])
        model = found[1]
        if model not in MODELS:
            raise RefusedError(self.refusals["gone"])
        body = _checked(model, request)
        config = body.get("generationConfig", {})
        return self.work(
            model, {"seed": config.get("seed"), **body}, lambda seconds, kind: self._answer(model, body, seconds, kind)
        )

    def _list(self, request: Request) -> Reply:
        """A page of the models; its token is the number of the first one on the next."""
        at, strange = request.query.get("pageToken", "0"), request.query.keys() - {"pageSize", "pageToken"}
        if request.headers.get("x-goog-api-key") != KEY or strange or not at.isdigit():
            raise RefusedError(self.refusals["bad_key"])
        end = int(at) + self.page
        ways = {name: ["embedContent" if "embedding" in name else "generateContent"] for name in self.listed}
        rows = [{"name": f"models/{n}", "supportedGenerationMethods": ways[n]} for n in self.listed[int(at) : end]]
        more = {"nextPageToken": str(end)} if end < len(self.listed) else {}
        return self.ask(lambda kind: json_reply(200, {"models": rows, **more}))

    def _answer(self, model: str, body: dict[str, Any], seconds: float, kind: str | None) -> Reply:
        self.pause(seconds)
        config = body.get("generationConfig", {})
        wanted = config.get("imageConfig", {})
        size_class = wanted.get("imageSize", "1K")
        scale = {"512": 0.5, "1K": 1, "2K": 2, "4K": 4}[size_class]
        width, height = RATIOS[wanted.get("aspectRatio", "1:1")]
        fmt = "JPEG" if kind == "jpeg" else "PNG"
        image = self.picture(lambda: paint(json.dumps(body), (round(width * scale), round(height * scale)), fmt))
        blob = {"mimeType": f"image/{fmt.lower()}", "data": base64.b64encode(image).decode()}
        blob["data"] = {
            "wrong_base64": "!!!!" + "A" * 400,
            "url_safe_base64": base64.urlsafe_b64encode(image).decode().rstrip("="),
            "base64_in_lines": base64.encodebytes(image).decode(),
        }.get(kind or "", blob["data"])
        if kind == "no_picture":
            blob = {"mimeType": "application/pdf", "data": base64.b64encode(b"%PDF").decode()}
        draft = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thought": True}
        parts = [{"text": "Here it is."}, {"inlineData": blob, "thoughtSignature": "c2ln"}]
        answer = {
            "candidates": [
                {
                    "content": {"role": "model", "parts": [draft, *parts] if kind == "draft_first" else parts},
                    "finishReason": "STOP",
                    "index": 0,
                    "safetyRatings": [],
                }
            ],
            "usageMetadata": usage(MODELS[model][size_class], text=5, thoughts=100),
            "modelVersion": model,
            "responseId": "x",
        }
        if kind == "uncounted":
            del answer["usageMetadata"]
        data = json.dumps(answer).encode()
        data = {"truncated_json": data[:-40], "list": b"[1, 2]", "deep": b'{"a":' * 100_000}.get(kind or "", data)
        return Reply(200, data, {"Content-Type": "application/json"})


def _checked(model: str, request: Request) -> dict[str, Any]:
    """The body of a call that Google would take; else RefusedError."""
    from PIL import Image

    def bad(message: str) -> RefusedError:
        return RefusedError(error(400, "INVALID_ARGUMENT", message))

    if request.headers.get("Content-Type") != "application/json" or len(request.body) > 20_000_000:
        raise bad("Request payload size exceeds the limit, or is no JSON.")
    try:
        body = json.loads(request.body)
    except ValueError:
        raise bad("Invalid JSON payload received.") from None
    for wrong in VALIDATORS[model].iter_errors(body):
        at = "/".join(str(part) for part in wrong.instance_path)
        raise bad(f"Invalid JSON payload received. {type(wrong.kind).__name__} at '{at}'.")
    for part in body["contents"][0]["parts"]:
        if blob := part.get("inlineData"):
            try:
                Image.open(io.BytesIO(base64.b64decode(blob["data"], validate=True))).verify()
            except (binascii.Error, OSError, SyntaxError):
                raise RefusedError(FakeGemini.refusals["invalid"]) from None
    return dict(body)

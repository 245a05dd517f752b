"""Converse of the Bedrock double: text models that shorten prompts, with strict input checks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from email.message import Message
from typing import Any
from urllib.parse import unquote

from jsonschema_rs import Draft202012Validator

from lambdas.domain.prompts.compress import compress
from tests.doubles.bedrock.checks import Refused, _region

MODELS = ("openai.gpt-oss-20b-1:0", "us.amazon.nova-micro-v1:0")
AIM = 2400
# The text of a gpt-oss answer is what the tokens leave after its reasoning.
REASONING_TOKENS = 100
CHARACTERS_PER_TOKEN = 4
INPUT, OUTPUT = 900, 600  # tokens that every answer counts


def cost(rate_in: float, rate_out: float) -> float:
    """USD of an answer, by USD per million tokens."""
    return round((INPUT * rate_in + OUTPUT * rate_out) / 1_000_000, 9)


def _closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


_TEXTS = {"type": "array", "minItems": 1, "items": _closed(["text"], text={"type": "string", "minLength": 1})}
_BODY = Draft202012Validator(
    _closed(
        ["messages"],
        messages={
            "type": "array",
            "minItems": 1,
            "items": _closed(["role", "content"], role={"enum": ["user", "assistant"]}, content=_TEXTS),
        },
        system=_TEXTS,
        inferenceConfig=_closed(
            [],
            maxTokens={"type": "integer", "minimum": 1},
            temperature={"type": "number", "minimum": 0, "maximum": 1},
            topP={"type": "number", "minimum": 0, "maximum": 1},
        ),
        additionalModelRequestFields=_closed([], reasoning_effort={"enum": ["low", "medium", "high"]}),
    )
)


def is_converse(path: str) -> bool:
    return path.endswith("/converse")


def check(path: str, headers: Message, raw: bytes) -> tuple[str, dict[str, Any]]:
    """The model and the body of a call that AWS would let through; else Refused."""
    route = re.fullmatch(r"/model/([^/:]+)/converse", path)
    if route is None:
        raise Refused("UnknownOperationException", 404, "Unknown operation")
    region = _region(headers)
    model = unquote(route[1])
    if model not in MODELS or region != "us-west-2":
        raise Refused("ValidationException", 400, "The provided model identifier is invalid.")
    try:
        body = json.loads(raw)
    except ValueError:
        raise Refused("ValidationException", 400, "Malformed input request, please reformat your input.") from None
    for error in _BODY.iter_errors(body):
        at = "/".join(str(part) for part in error.instance_path)
        raise Refused("ValidationException", 400, f"Malformed input request: #/{at}, please reformat your input.")
    if "additionalModelRequestFields" in body and "gpt-oss" not in model:
        raise Refused("ValidationException", 400, "extraneous key [reasoning_effort] is not permitted")
    return model, dict(body)


def _prompt(body: dict[str, Any]) -> str:
    return str(body["messages"][-1]["content"][0]["text"])


def _shorten(body: dict[str, Any]) -> str:
    return compress(_prompt(body), AIM)


def _answer(text: str | None, reason: str = "end_turn") -> bytes:
    content: list[dict[str, Any]] = [{"reasoningContent": {"reasoningText": {"text": "The user wants it shorter."}}}]
    if text is not None:
        content.append({"text": text})
    usage = {"inputTokens": INPUT, "outputTokens": OUTPUT, "totalTokens": INPUT + OUTPUT}
    message = {"role": "assistant", "content": content}
    metrics = {"latencyMs": 900}
    return json.dumps(
        {"output": {"message": message}, "stopReason": reason, "usage": usage, "metrics": metrics}
    ).encode()


# What comes instead of a good answer. Refusals and the faults of the wire are those of images.
BODIES: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "text_cut_off": lambda body: _answer(_shorten(body)[:200], "max_tokens"),
    "text_only_reasoning": lambda body: _answer(None, "max_tokens"),
    "text_none": lambda body: _answer(None),
    "text_blank": lambda body: _answer("  \n"),
    "text_guardrail": lambda body: _answer("I cannot help with that.", "guardrail_intervened"),
    "text_filtered": lambda body: _answer("", "content_filtered"),
    "text_unknown_reason": lambda body: _answer(_shorten(body), "cosmic_rays"),
    "text_too_long": lambda body: _answer(_prompt(body)),
    "text_injected": lambda body: _answer(f"{_shorten(body)}, --ar 16:9, seed: 7"),
    "text_leaked": lambda body: _answer(str(body["system"][0]["text"])),
    "text_off_topic": lambda body: _answer("I like trains, and trains like me. " * 10),
    "text_html": lambda body: b"<html><body>Sign in to the network</body></html>",
    "text_list": lambda body: b"[1, 2, 3]",
    "text_number": lambda body: b"5",
    "text_deep": lambda body: b'{"output":' * 100_000,
    "text_truncated": lambda body: _answer(_shorten(body))[:-40],
    "text_odd_blocks": lambda body: (
        b'{"output": {"message": {"content": ["x", 5, null, {"text": 7}]}}, "stopReason": "end_turn"}'
    ),
    "text_null": lambda body: b'{"output": null, "stopReason": null}',
}


def answer(body: dict[str, Any], kind: str | None) -> bytes:
    """The answer to a call that was let through."""
    if kind in BODIES:
        return BODIES[kind](body)
    text = _shorten(body)
    room = (body.get("inferenceConfig", {}).get("maxTokens", 512) - REASONING_TOKENS) * CHARACTERS_PER_TOKEN
    if len(text) > room:
        return _answer(text[:room] if room > 0 else None, "max_tokens")
    return _answer(text)

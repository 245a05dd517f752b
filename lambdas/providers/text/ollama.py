"""Shortens prompts with the operator's own Ollama server, by /api/chat."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any, Final

from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.ports.providers import Rewrite
from lambdas.domain.prompts.brief import instruction

WHO: Final = "Ollama"
MAX_BYTES: Final = 1_000_000
CONTEXT: Final = 16_384  # tokens: a prompt of 10,000 characters in any language, and the answer
MAX_TOKENS: Final = 4_096  # of reasoning and answer together
KEEP_LOADED: Final = "30m"  # loading the model takes longer than a request may
SCHEMA: Final = {
    "type": "object",
    "properties": {"prompt": {"type": "string"}},
    "required": ["prompt"],
    "additionalProperties": False,
}


class Ollama:
    """`url` comes from the settings and is trusted."""

    name: Final = "ollama"
    price: Final = None  # the operator's own machine

    def __init__(self, url: str, model: str) -> None:
        self._url = url.rstrip("/")
        self.model = model

    def rewrite(self, prompt: str, limit: int, timeout: float) -> Rewrite:
        """Shorten the prompt in one request; in a second one without a schema if the answer does not follow it.

        gpt-oss sometimes ignores a schema or answers nothing: https://github.com/ollama/ollama/issues/11691 (2025-08).
        Both requests together end within `timeout` seconds.
        """
        ends_at = time.monotonic() + timeout
        canary = secrets.token_hex(8)
        system = instruction(limit, canary)
        try:
            text = self._chat(to_payload(self.model, system, prompt, SCHEMA), ends_at)
        except ProviderFailure as failure:
            if failure.code not in (Failure.BAD_ANSWER, Failure.INVALID_REQUEST):
                raise
            text = self._chat(to_payload(self.model, system, prompt, None), ends_at)
        if canary in text:
            raise ProviderFailure(Failure.BAD_ANSWER, f"{WHO} gave away its instructions")
        return Rewrite(text)

    def health(self, timeout: float) -> bool:
        """Return whether the server answers and has the model, loaded or not."""
        from lambdas.providers._client import http

        try:
            answer = http.call("GET", f"{self._url}/api/tags", timeout=timeout, max_bytes=MAX_BYTES, who=WHO)
            return answer.ok and self.model in to_names(answer.json(WHO))
        except ProviderFailure:
            return False

    def _chat(self, payload: dict[str, Any], ends_at: float) -> str:
        from lambdas.providers._client import http

        left = ends_at - time.monotonic()
        answer = http.post_json(f"{self._url}/api/chat", payload, timeout=left, who=WHO, max_bytes=MAX_BYTES)
        if not answer.ok:
            raise http.failure(answer, WHO)
        return to_text(answer.json(WHO), structured="format" in payload)


def to_payload(model: str, system: str, prompt: str, schema: dict[str, Any] | None) -> dict[str, Any]:
    """Return the body of /api/chat. Reasoning is off, or at the lowest level of gpt-oss, which cannot turn it off."""
    payload: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": prompt}],
        "stream": False,
        "think": "low" if "gpt-oss" in model else False,
        "keep_alive": KEEP_LOADED,
        "options": {"num_ctx": CONTEXT, "num_predict": MAX_TOKENS, "temperature": 0.2},
    }
    if schema:
        payload["format"] = schema
    return payload


def to_text(answer: Any, *, structured: bool) -> str:
    """Return the prompt in an answer with status 200."""
    if not isinstance(answer, dict) or not isinstance(answer.get("message"), dict):
        raise ProviderFailure(Failure.BAD_ANSWER, f"{WHO} answered in an unknown form")
    content = answer["message"].get("content")
    if not isinstance(content, str) or not content.strip():
        raise ProviderFailure(Failure.BAD_ANSWER, f"{WHO} answered with nothing")
    if answer.get("done_reason") == "length":
        raise ProviderFailure(Failure.BAD_ANSWER, f"{WHO} was cut off in its answer")
    try:
        inner = json.loads(content)
    except (ValueError, RecursionError):
        inner = None
    if isinstance(inner, dict) and isinstance(inner.get("prompt"), str):
        return str(inner["prompt"])
    if structured:
        raise ProviderFailure(Failure.BAD_ANSWER, f"{WHO} did not keep to the form that was asked for")
    return content


def to_names(answer: Any) -> set[str]:
    """Return the names of the models that /api/tags lists, with and without `:latest`."""
    models = answer.get("models") if isinstance(answer, dict) else None
    rows = [row for row in models if isinstance(row, dict)] if isinstance(models, list) else []
    names = [row.get(key) for row in rows for key in ("name", "model")]
    return {form for name in names if isinstance(name, str) for form in (name, name.removesuffix(":latest"))}

"""Shortens prompts with a text model of Amazon Bedrock, by Converse."""

from __future__ import annotations

import secrets
import time
from typing import Any, Final

from lambdas.domain.failure_boundary import charged
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.ports.providers import Rewrite
from lambdas.domain.prompts.brief import instruction
from lambdas.domain.prompts.prices import TextPrice, price_of
from lambdas.egress import aws
from lambdas.egress.deadline import within
from lambdas.providers._client.hostile_json import mapping, mappings

MAX_TOKENS: Final = 4_096  # of reasoning and answer together; Bedrock reserves the quota by it
MAX_COUNTED: Final = 1_000_000  # tokens; a greater count is invalid
PING_TOKENS: Final = 16
CONNECT_SECONDS: Final = 3
READ_SECONDS: Final = 60  # for one read
HEALTHY_SECONDS: Final = 60.0  # a health check is cached so long, because it is a paid call

# The stop reasons that make an answer unusable.
# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html, as of 2026-11
STOPPED: Final = {
    "max_tokens": (Failure.BAD_ANSWER, "the model was cut off in its answer"),
    "model_context_window_exceeded": (Failure.INVALID_REQUEST, "the prompt was too long for the model"),
    "guardrail_intervened": (Failure.CONTENT_POLICY, "a guardrail held the answer back"),
    "content_filtered": (Failure.CONTENT_POLICY, "a content filter held the answer back"),
}
FINISHED: Final = ("end_turn", "stop_sequence")


class BedrockText:
    """Has one client, shared by the threads of this process."""

    name: Final = "bedrock"

    def __init__(self, region: str, model: str) -> None:
        self._region = region
        self.model = model
        self.price: Final = price_of(model)
        self._clients = aws.Clients(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)
        self._finding = (False, 0.0)  # healthy, and until when that is cached

    def rewrite(self, prompt: str, limit: int, timeout: float) -> Rewrite:
        """Shorten the prompt in one call within `timeout` seconds, never repeated."""
        canary = secrets.token_hex(8)
        system = instruction(limit, canary)
        answer = self._converse(to_payload(self.model, system, prompt, MAX_TOKENS), timeout)
        counted = to_cost(answer, self.price)
        with charged(counted):
            text = to_text(answer)
            if canary in text:
                raise ProviderFailure(Failure.BAD_ANSWER, "the model gave away its instructions")
        if counted is None:
            return Rewrite(text, self.price.estimate(len(system) + len(prompt), len(text)), estimated=True)
        return Rewrite(text, counted)

    def health(self, timeout: float) -> bool:
        """Return whether the model answers, by a minimal call that costs about 0.00001 USD."""
        healthy, until = self._finding
        if time.time() < until:
            return healthy
        try:
            self._converse(to_payload(self.model, "Answer: ok", "ok", PING_TOKENS), timeout)
            healthy = True
        except ProviderFailure:
            healthy = False
        self._finding = (healthy, time.time() + HEALTHY_SECONDS)
        return healthy

    def _converse(self, payload: dict[str, Any], timeout: float) -> Any:
        if timeout <= 0:
            raise ProviderFailure(Failure.TIMEOUT, "no time was left for the call")
        try:
            return within(timeout, lambda: self._call(payload))
        except TimeoutError:
            raise ProviderFailure(Failure.TIMEOUT, f"no answer within {timeout:.0f} s", paid="unknown") from None

    def _call(self, payload: dict[str, Any]) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError
        from urllib3.exceptions import HTTPError

        from lambdas.providers.bedrock import to_failure, to_lost

        try:
            return self._clients.get("bedrock-runtime", self._region).converse(**payload)
        except ClientError as error:
            raise to_failure(error.response) from error
        except (BotoCoreError, ResponseParserError, HTTPError, OSError) as error:
            paid = to_lost(error, answered=False).paid
            raise ProviderFailure(Failure.UNAVAILABLE, "it could not be asked", paid=paid) from error
        except (AttributeError, TypeError, ValueError, RecursionError) as error:  # botocore on malformed JSON
            raise ProviderFailure(Failure.BAD_ANSWER, "the answer had an unknown form", paid="unknown") from error


def to_payload(model: str, system: str, prompt: str, max_tokens: int) -> dict[str, Any]:
    """Return the arguments of Converse. Only gpt-oss has `reasoning_effort`."""
    payload: dict[str, Any] = {
        "modelId": model,
        "system": [{"text": system}],
        "messages": [{"role": "user", "content": [{"text": prompt}]}],
        "inferenceConfig": {"maxTokens": max_tokens, "temperature": 0.2},
    }
    if "gpt-oss" in model:
        payload["additionalModelRequestFields"] = {"reasoning_effort": "low"}
    return payload


def to_cost(answer: Any, price: TextPrice) -> float | None:
    """Return the cost in USD by the answer's token counts; `None` without them."""
    usage = mapping(mapping(answer).get("usage"))
    counts: list[Any] = [usage.get(name) for name in ("inputTokens", "outputTokens")]
    if not all(type(count) is int and 0 <= count <= MAX_COUNTED for count in counts):
        return None
    return price.cost(*counts)


def to_text(answer: Any) -> str:
    """Return the text of an answer, without its reasoning."""
    reason = str(answer.get("stopReason"))
    if reason in STOPPED:
        raise ProviderFailure(*STOPPED[reason])
    blocks = mappings(mapping(mapping(answer.get("output")).get("message")).get("content"))
    texts = [block.get("text") for block in blocks]
    text = "".join(text for text in texts if isinstance(text, str))
    if reason not in FINISHED or not text.strip():
        raise ProviderFailure(Failure.BAD_ANSWER, "the answer held no text")
    return text

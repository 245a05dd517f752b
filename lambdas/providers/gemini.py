"""Calls generateContent of Google's Gemini API, one image per call."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from lambdas.domain.catalogue.cards.gemini import RATES
from lambdas.domain.catalogue.model_card import Size
from lambdas.domain.failure_boundary import charged, keeping, unsent
from lambdas.domain.failures import Failure, Paid, ProviderFailure
from lambdas.domain.jobs.request import GeneratedImage, ImageTask, Tokens
from lambdas.providers._client import http
from lambdas.providers._client.hostile_json import image, items, mapping, parsed
from lambdas.settings import Settings

WHO: Final = "Gemini"
MAX_BYTES: Final = 40_000_000  # a picture of four megapixels as base64, and drafts
MAX_TOKENS: Final = 1_000_000  # a greater count is invalid
ONE_K: Final = 1_600_000  # pixels; larger images are `2K`

# Refusals have HTTP status 200. These finish reasons are a content policy's; after the others (NO_IMAGE, IMAGE_OTHER,
# OTHER, MALFORMED_RESPONSE, MAX_TOKENS, or STOP without an image) another try may succeed.
# https://ai.google.dev/api/generate-content#FinishReason, as of 2026-11; the classification is ours.
POLICY: Final = frozenset(
    {
        "SAFETY",
        "PROHIBITED_CONTENT",
        "BLOCKLIST",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "RECITATION",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
    }
)


def build(settings: Settings) -> Gemini:
    """The provider; nothing is connected before its first call."""
    return Gemini(settings.gemini_base_url.rstrip("/"), settings.gemini_api_key)


class Gemini:
    """Stateless: each call has its own connection."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key

    def paint(self, task: ImageTask, timeout: float) -> GeneratedImage:
        """Generate one image in one call. Raises ProviderFailure."""
        with unsent(WHO):
            payload = to_payload(task)
        answer = http.post_json(
            f"{self._url}/models/{task.card.id}:generateContent",
            payload,
            headers={"x-goog-api-key": self._key},  # never as `?key=`: addresses are logged
            timeout=timeout,
            max_bytes=MAX_BYTES,
            paid=True,
            who=WHO,
        )
        if answer.status != 200:
            raise http.judged(to_failure, answer, WHO, self._key)
        with keeping(answer.body):
            return to_image(answer.json(WHO), task.card.id)


def to_payload(task: ImageTask) -> dict[str, Any]:
    """Return the request body. The size is an aspect ratio and a size class; there are no other parameters."""
    parts: list[dict[str, Any]] = [{"text": task.prompt}]
    if task.reference:
        data = base64.b64encode(task.reference).decode()
        parts.append({"inlineData": {"mimeType": task.reference_type, "data": data}})
    for more, kind in task.more_references:
        parts.append({"inlineData": {"mimeType": kind, "data": base64.b64encode(more).decode()}})
    shape: dict[str, str] = {"imageSize": _size_class(task.generate)}
    if task.ratio:
        shape["aspectRatio"] = task.ratio
    return {
        "contents": [{"role": "user", "parts": parts}],
        "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": shape, "seed": task.seed},
    }


def to_image(answer: Any, model: str) -> GeneratedImage:
    """Read an answer with status 200, which a refused request has as well."""
    if not isinstance(answer, dict):
        raise ProviderFailure(Failure.BAD_ANSWER, "the answer had an unknown form", paid="unknown")
    usage = mapping(answer.get("usageMetadata"))
    cost = _cost(usage, model)
    # without an image, the tokens of the prompt and of thinking cost a fraction of a cent, which is not booked
    paid: Paid = "no" if usage and not cost else "unknown"
    ended = partial(ProviderFailure, paid=paid, made=bool(cost), cost_usd=cost)
    candidate = mapping(next(iter(items(answer.get("candidates"))), None))
    if not candidate:
        if mapping(answer.get("promptFeedback")).get("blockReason"):
            raise ended(Failure.CONTENT_POLICY, "its content filter refused the prompt")
        raise ended(Failure.BAD_ANSWER, "the answer held no candidate")
    reason = str(candidate.get("finishReason"))
    if reason in POLICY:
        raise ended(Failure.CONTENT_POLICY, "its content filter refused the image")
    for part in items(mapping(candidate.get("content")).get("parts")):
        blob = mapping(mapping(part).get("inlineData"))
        if blob and not part.get("thought"):  # a thought may hold a draft of the picture
            with charged(cost):
                return GeneratedImage(_decoded(blob), None, cost, tokens=_tokens(usage))
    words = "it answered with words instead of an image" if reason == "STOP" else "it ended without an image"
    raise ended(Failure.FAILED, words)


def to_failure(answer: http.Answer, key: str = "") -> ProviderFailure:
    """Map an error to a failure. Google charges only for those that are timeouts."""
    error = mapping(mapping(parsed(answer.body)).get("error"))
    said = str(error.get("message", ""))
    reasons = {str(detail.get("reason")) for detail in _details(error, "ErrorInfo")}
    if "API_KEY_INVALID" in reasons or "API key not valid" in said:
        return ProviderFailure(Failure.NOT_AUTHORIZED, f"{WHO} did not accept our key")
    if error.get("status") == "FAILED_PRECONDITION":
        return ProviderFailure(
            Failure.NOT_AUTHORIZED, f"{WHO} wants billing to be enabled or does not serve this region"
        )
    if answer.status == 429:
        if any(_is_spent(violation) for violation in _violations(error)):
            return ProviderFailure(
                Failure.OUT_OF_CREDIT, f"our quota at {WHO} is used up; waiting a little will not help"
            )
        wait = next(filter(None, map(_delay, _details(error, "RetryInfo"))), answer.retry_after)
        return ProviderFailure(Failure.THROTTLED, f"{WHO} is throttling this account", retry_after=wait)
    failure = http.failure(answer, WHO, http.quote(said, key), speaks_json=True)
    if answer.status == 500 and error:
        # "If your request fails with a 400 or 500 error, you won't be charged": https://ai.google.dev/gemini-api/docs/billing
        failure.paid = "no"
    return failure


def _size_class(size: Size) -> str:
    return "1K" if size[0] * size[1] <= ONE_K else "2K"


def _decoded(blob: dict[str, Any]) -> bytes:
    if not str(blob.get("mimeType")).startswith("image/"):
        raise ProviderFailure(Failure.BAD_ANSWER, "the answer held something else than an image", paid="unknown")
    return image(blob.get("data", ""), paid="unknown")


def _cost(usage: dict[str, Any], model: str) -> float | None:
    """Return the cost in USD by the model's rates; `None` if the answer counts no tokens and the list price applies."""
    tokens = _image_tokens(usage)
    if not tokens:
        return None
    rates = RATES[model]
    text = max(_count(usage, "candidatesTokenCount") - tokens, 0) + _count(usage, "thoughtsTokenCount")
    micros = rates.prompt * _count(usage, "promptTokenCount") + rates.text * text + rates.image * tokens
    return round(micros / 1_000_000, 6)


def _image_tokens(usage: dict[str, Any]) -> int:
    if not items(usage.get("candidatesTokensDetails")):
        return _count(usage, "candidatesTokenCount")
    return _of_images(usage, "candidatesTokensDetails")


def _of_images(usage: dict[str, Any], details: str) -> int:
    entries = [mapping(entry) for entry in items(usage.get(details))]
    return sum(_count(entry, "tokenCount") for entry in entries if entry.get("modality") == "IMAGE")


def _tokens(usage: dict[str, Any]) -> Tokens | None:
    """Return the counts of the answer; `None` if it has none."""
    if not usage:
        return None
    shown, made = _of_images(usage, "promptTokensDetails"), _image_tokens(usage)
    words = max(_count(usage, "candidatesTokenCount") - made, 0) + _count(usage, "thoughtsTokenCount")
    return Tokens(max(_count(usage, "promptTokenCount") - shown, 0), shown, words, made)


def _count(counts: dict[str, Any], name: str) -> int:
    value = counts.get(name)
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else 0


def _details(error: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    """Yield the details of a type such as `type.googleapis.com/google.rpc.RetryInfo`."""
    for detail in map(mapping, items(error.get("details"))):
        if str(detail.get("@type")).endswith(f".{kind}"):
            yield detail


def _violations(error: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for detail in _details(error, "QuotaFailure"):
        yield from map(mapping, items(detail.get("violations")))


def _is_spent(violation: dict[str, Any]) -> bool:
    """Return whether the quota is per day, or 0 (a free account and a model that is not free)."""
    return "PerDay" in str(violation.get("quotaId")) or str(violation.get("quotaValue")) == "0"


def _delay(info: dict[str, Any]) -> float | None:
    """Return the seconds of a text such as `31s` or `0.4s`."""
    found = re.fullmatch(r"([0-9]{1,5}(?:\.[0-9]{1,9})?)s", str(info.get("retryDelay")))
    return min(float(found[1]), http.MAX_RETRY_AFTER) if found else None

"""The project's own GPU worker, one image per call: over plain HTTP or behind a SageMaker endpoint of either kind.

The wire is gpu_worker/contract.py; tests/contract/ holds the two together. A call costs nothing, since the machine is
paid by the hour: nothing here is ever `paid`, and whatever fails may be tried again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from lambdas.domain import ids
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.request import BACKGROUND, MAX_SEED, GeneratedImage, ImageTask, Ticket
from lambdas.domain.ports.providers import Provider, Purged, TicketProvider
from lambdas.providers._client import http, sagemaker
from lambdas.providers._client.gpu_answers import to_purged, with_mask, with_times
from lambdas.providers._client.hostile_json import image, mapping, parsed
from lambdas.settings import Settings

WHO: Final = "the GPU worker"
MAX_ANSWER: Final = 40_000_000
MAX_SYNC: Final = 6_291_456  # bytes: SageMaker's limit of a call that waits

Meaning = tuple[Failure, str]  # ours, and the end of a sentence

# By the code of the worker's own error.
CODES: Final[dict[str, Meaning]] = {
    "invalid_request": (Failure.INVALID_REQUEST, "did not accept the request"),
    "unknown_model": (Failure.MODEL_GONE, "does not serve the model"),
    "too_large": (Failure.INVALID_REQUEST, "did not accept a request of that size"),
    "content_policy": (Failure.CONTENT_POLICY, "refused the prompt or the image"),
    "failed": (Failure.FAILED, "failed while it painted"),
    "busy": (Failure.UNAVAILABLE, "has no room in its queue"),
    "timeout": (Failure.TIMEOUT, "did not paint the image in its time"),
}

# What SageMaker says itself, by AWS's error class: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
AWS_ERRORS: Final[dict[str, Meaning]] = {
    "ModelNotReadyException": (Failure.UNAVAILABLE, "is not ready yet"),
    "ServiceUnavailable": (Failure.UNAVAILABLE, "is not available now"),
    "InternalDependencyException": (Failure.UNAVAILABLE, "is not available now"),
    "ThrottlingException": (Failure.THROTTLED, "is being throttled"),
    "InternalFailure": (Failure.FAILED, "had an internal error"),
    "ValidationError": (Failure.INVALID_REQUEST, "did not accept the request"),
    "AccessDeniedException": (Failure.NOT_AUTHORIZED, "may not be called with our credentials"),
}

# By what a message says, where that tells more than the class.
MESSAGES: Final[dict[str, Meaning]] = {
    "timed out": CODES["timeout"],
    "no capacity": (Failure.UNAVAILABLE, "has no instance running yet"),
    "not found": (Failure.MODEL_GONE, "has no endpoint of that name"),
}


def build(settings: Settings) -> Provider | TicketProvider:
    """The way to the worker that the settings name; nothing is connected before its first call.

    An asynchronous endpoint gives tickets, the others paint: which port the object has is for its caller to ask.
    """
    if settings.gpu_worker_url:
        return Worker(settings.gpu_worker_url.rstrip("/"))
    if settings.sagemaker_async:
        return AsyncEndpoint(settings.sagemaker_endpoint, settings.images_bucket)
    return Endpoint(settings.sagemaker_endpoint)


class Worker:
    """A worker on a machine at hand."""

    def __init__(self, url: str) -> None:
        self._url = url

    def paint(self, order: ImageTask, timeout: float) -> GeneratedImage:
        """One call, one image. Raises ProviderFailure for everything else."""
        return to_image(self._invoke(to_payload(order), timeout), order)

    def purge(self, model_id: str | None, timeout: float) -> Purged:
        """See ModelCache."""
        return to_purged(parsed(self._invoke(to_purge(model_id), timeout)), WHO)

    def _invoke(self, payload: dict[str, Any], timeout: float) -> bytes:
        answer = http.post_json(f"{self._url}/invocations", payload, timeout=timeout, max_bytes=MAX_ANSWER, who=WHO)
        if answer.status == 200:
            return answer.body
        failure = to_failure(answer.body) or http.failure(answer, WHO)
        failure.retry_after = failure.retry_after or answer.retry_after
        raise failure


class Endpoint:
    """The worker behind a real-time endpoint, which answers within 60 seconds or not at all."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._aws = sagemaker.Aws(WHO)

    def paint(self, order: ImageTask, timeout: float) -> GeneratedImage:
        """One call, one image. Raises ProviderFailure for everything else."""
        body = json.dumps(to_payload(order)).encode()
        if len(body) > MAX_SYNC:
            raise ProviderFailure(Failure.INVALID_REQUEST, "the reference image is too large for this endpoint")
        return to_image(self._invoke(body, order.id, timeout), order)

    def purge(self, model_id: str | None, timeout: float) -> Purged:
        """See ModelCache. Of several instances it is one that is told."""
        return to_purged(parsed(self._invoke(json.dumps(to_purge(model_id)).encode(), "purge", timeout)), WHO)

    def _invoke(self, body: bytes, call_id: str, timeout: float) -> bytes:
        try:
            return self._aws.invoke(self._name, body, call_id, timeout, MAX_ANSWER)
        except sagemaker.RefusedError as refused:
            raise to_aws_failure(refused.response) from refused


class AsyncEndpoint:
    """The worker behind an asynchronous endpoint: it reads from the bucket, writes to it, and may sleep in between."""

    client_chooses_id = False  # the endpoint says where it will write
    notifies_completion = True  # by its topics, which the function gpu_result hears

    def __init__(self, name: str, bucket: str) -> None:
        self._name = name
        self._bucket = bucket
        self._aws = sagemaker.Aws(WHO)

    def submit(self, order: ImageTask, timeout: float) -> Ticket:
        """Put the request into the bucket and call for it. The ticket says where the image or the failure will lie."""
        body = json.dumps(to_payload(order)).encode()
        key = ids.async_key(order.owner, order.id)
        try:
            kept = int(order.card.max_seconds)  # nobody waits longer
            return Ticket(self._aws.start(self._name, self._bucket, key, body, order.id, kept, timeout))
        except sagemaker.RefusedError as refused:
            raise to_aws_failure(refused.response) from refused

    def collect(self, ticket: Ticket, order: ImageTask, timeout: float) -> GeneratedImage | None:
        """The image, or `None` while neither it nor a failure lies in the bucket. Raises ProviderFailure."""
        answer, failure = self._aws.fetch(ticket.id, timeout, MAX_ANSWER)
        if answer is not None:
            return to_image(answer, order)
        if failure is not None:
            raise to_lost(failure.decode(errors="replace"))
        return None


def to_payload(order: ImageTask) -> dict[str, Any]:
    """The request. What the order leaves to the model is left out."""
    payload: dict[str, Any] = {
        "task": BACKGROUND if order.task == BACKGROUND else "image-to-image" if order.reference else "text-to-image",
        "id": order.id,
        "model": order.card.id,
        "prompt": order.prompt,
        "width": order.generate[0],
        "height": order.generate[1],
        "seed": order.seed,
        "format": order.format,
    }
    optional = {"negative_prompt": order.negative_prompt or None, "steps": order.steps, "guidance": order.cfg}
    payload |= {name: value for name, value in optional.items() if value is not None}
    if order.task == BACKGROUND:
        if order.generate == (0, 0):  # the product's own size
            del payload["width"], payload["height"]
        if order.padding is not None:
            payload["padding"] = order.padding
    if order.reference:
        payload["image"] = base64.b64encode(order.reference).decode()
    return payload


def to_purge(model_id: str | None) -> dict[str, Any]:
    """The request to take one model, or all, out of memory."""
    return {"task": "purge", "model_id": model_id}


def to_image(body: bytes, order: ImageTask) -> GeneratedImage:
    """Read the worker's answer to that order."""
    answer = mapping(parsed(body))
    if not answer:
        raise ProviderFailure(Failure.BAD_ANSWER, f"{WHO} answered in an unknown form")
    if answer.get("id") != order.id:
        raise ProviderFailure(Failure.BAD_ANSWER, f"{WHO} answered another request")
    seed = answer.get("seed")
    seed = seed if type(seed) is int and 0 <= seed <= MAX_SEED else None
    painted = with_times(GeneratedImage(image(answer.get("image", "")), seed), answer)
    return with_mask(painted, answer, WHO) if order.task == BACKGROUND else painted


def to_failure(body: bytes | str) -> ProviderFailure | None:
    """What an error of the worker means for us; `None` for what is none of its errors."""
    error = mapping(mapping(parsed(body)).get("error"))
    meaning = CODES.get(str(error.get("code")))
    if not meaning:
        return None
    code, end = meaning
    said = http.quote(error.get("message")) if code == Failure.INVALID_REQUEST else ""
    wait = error.get("retry_after")
    if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not 0 <= wait <= http.MAX_RETRY_AFTER:
        wait = None
    sentence = f"{WHO} {end}: {said}" if said else f"{WHO} {end}"
    return ProviderFailure(code, sentence, retry_after=wait)


def to_aws_failure(response: Mapping[str, Any]) -> ProviderFailure:
    """What an error response of SageMaker means for us: the worker's own error is inside a ModelError."""
    error = response.get("Error", {})
    name, said = str(error.get("Code", "")), str(error.get("Message", ""))
    if name == "ModelError":
        return to_lost(str(response.get("OriginalMessage") or said))
    meta = response.get("ResponseMetadata", {})
    if meaning := AWS_ERRORS.get(name):
        code, end = next((m for text, m in MESSAGES.items() if text in said.lower()), meaning)
        return ProviderFailure(code, f"{WHO} {end}")
    # a class of AWS's is a name; what stands in front of it gives none, and botocore then puts the status there
    body = b"" if name[:1].isalpha() else b"<html>"
    return http.failure(http.Answer(meta.get("HTTPStatusCode", 500), meta.get("HTTPHeaders", {}), body), WHO)


def to_lost(said: str) -> ProviderFailure:
    """The failure that SageMaker tells of: the worker's own error, alone or quoted within a sentence of SageMaker's."""
    quoted = said[said.find("{") : said.rfind("}") + 1]
    if failure := to_failure(quoted) or to_failure(quoted.replace('\\"', '"')):
        return failure
    code, end = next((m for text, m in MESSAGES.items() if text in said.lower()), CODES["failed"])
    return ProviderFailure(code, f"{WHO} {end}")

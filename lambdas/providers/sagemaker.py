"""Calls the project's own GPU worker, one image per call: over plain HTTP, or behind a SageMaker endpoint.

The message format is defined in gpu_worker/contract.py; tests/contract/ checks that both agree. Calls are free, since
the machine is paid by the hour: no failure is `paid`, and all may be tried again.
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
MAX_SYNC: Final = 6_291_456  # bytes: SageMaker's limit of a synchronous call

Meaning = tuple[Failure, str]  # the failure, and the end of a sentence

# By the code of the worker's error.
CODES: Final[dict[str, Meaning]] = {
    "invalid_request": (Failure.INVALID_REQUEST, "did not accept the request"),
    "unknown_model": (Failure.MODEL_GONE, "does not serve the model"),
    "too_large": (Failure.INVALID_REQUEST, "did not accept a request of that size"),
    "content_policy": (Failure.CONTENT_POLICY, "refused the prompt or the image"),
    "failed": (Failure.FAILED, "failed while it painted"),
    "busy": (Failure.UNAVAILABLE, "has no room in its queue"),
    "timeout": (Failure.TIMEOUT, "did not paint the image in its time"),
}

# SageMaker's own errors, by AWS's error class: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
AWS_ERRORS: Final[dict[str, Meaning]] = {
    "ModelNotReadyException": (Failure.UNAVAILABLE, "is not ready yet"),
    "ServiceUnavailable": (Failure.UNAVAILABLE, "is not available now"),
    "InternalDependencyException": (Failure.UNAVAILABLE, "is not available now"),
    "ThrottlingException": (Failure.THROTTLED, "is being throttled"),
    "InternalFailure": (Failure.FAILED, "had an internal error"),
    "ValidationError": (Failure.INVALID_REQUEST, "did not accept the request"),
    "AccessDeniedException": (Failure.NOT_AUTHORIZED, "may not be called with our credentials"),
}

# By a part of the message, if it is more specific than the class.
MESSAGES: Final[dict[str, Meaning]] = {
    "timed out": CODES["timeout"],
    "no capacity": (Failure.UNAVAILABLE, "has no instance running yet"),
    "not found": (Failure.MODEL_GONE, "has no endpoint of that name"),
}


def build(settings: Settings) -> Provider | TicketProvider:
    """Create the provider for the configured worker; nothing is connected before its first call.

    It is a TicketProvider for an asynchronous endpoint, else a Provider.
    """
    if settings.gpu_worker_url:
        return Worker(settings.gpu_worker_url.rstrip("/"))
    if settings.sagemaker_async:
        return AsyncEndpoint(settings.sagemaker_endpoint, settings.images_bucket)
    return Endpoint(settings.sagemaker_endpoint)


class Worker:
    """A worker that is reached directly."""

    def __init__(self, url: str) -> None:
        self._url = url

    def paint(self, task: ImageTask, timeout: float) -> GeneratedImage:
        """One call, one image. Raises ProviderFailure for everything else."""
        return to_image(self._invoke(to_payload(task), timeout), task)

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
    """The worker behind a real-time endpoint, which ends each call after 60 seconds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._aws = sagemaker.Aws(WHO)

    def paint(self, task: ImageTask, timeout: float) -> GeneratedImage:
        """One call, one image. Raises ProviderFailure for everything else."""
        body = json.dumps(to_payload(task)).encode()
        if len(body) > MAX_SYNC:
            raise ProviderFailure(Failure.INVALID_REQUEST, "the reference image is too large for this endpoint")
        return to_image(self._invoke(body, task.id, timeout), task)

    def purge(self, model_id: str | None, timeout: float) -> Purged:
        """See ModelCache. Only one of several instances gets the request."""
        return to_purged(parsed(self._invoke(json.dumps(to_purge(model_id)).encode(), "purge", timeout)), WHO)

    def _invoke(self, body: bytes, call_id: str, timeout: float) -> bytes:
        try:
            return self._aws.invoke(self._name, body, call_id, timeout, MAX_ANSWER)
        except sagemaker.RefusedError as refused:
            raise to_aws_failure(refused.response) from refused


class AsyncEndpoint:
    """The worker behind an asynchronous endpoint, which reads from and writes to the bucket, and may scale to zero."""

    client_chooses_id = False  # the endpoint chooses where it writes
    notifies_completion = True  # by its topics, which invoke the function gpu_result

    def __init__(self, name: str, bucket: str) -> None:
        self._name = name
        self._bucket = bucket
        self._aws = sagemaker.Aws(WHO)

    def submit(self, task: ImageTask, timeout: float) -> Ticket:
        """Store the request in the bucket and start it. The ticket has the locations of the image and the failure."""
        body = json.dumps(to_payload(task)).encode()
        key = ids.async_key(task.owner, task.id)
        try:
            kept = int(task.card.max_seconds)  # the job has ended by then
            return Ticket(self._aws.start(self._name, self._bucket, key, body, task.id, kept, timeout))
        except sagemaker.RefusedError as refused:
            raise to_aws_failure(refused.response) from refused

    def collect(self, ticket: Ticket, task: ImageTask, timeout: float) -> GeneratedImage | None:
        """Return the image, or `None` while the bucket has neither an image nor a failure. Raises ProviderFailure."""
        answer, failure = self._aws.fetch(ticket.id, timeout, MAX_ANSWER)
        if answer is not None:
            return to_image(answer, task)
        if failure is not None:
            raise to_lost(failure.decode(errors="replace"))
        return None


def to_payload(task: ImageTask) -> dict[str, Any]:
    """Return the request, without the parameters that are left to the model."""
    payload: dict[str, Any] = {
        "task": BACKGROUND if task.task == BACKGROUND else "image-to-image" if task.reference else "text-to-image",
        "id": task.id,
        "model": task.card.id,
        "prompt": task.prompt,
        "width": task.generate[0],
        "height": task.generate[1],
        "seed": task.seed,
        "format": task.format,
    }
    optional = {"negative_prompt": task.negative_prompt or None, "steps": task.steps, "guidance": task.cfg}
    payload |= {name: value for name, value in optional.items() if value is not None}
    if task.task == BACKGROUND:
        if task.generate == (0, 0):  # the product's own size
            del payload["width"], payload["height"]
        if task.padding is not None:
            payload["padding"] = task.padding
    if task.reference:
        payload["image"] = base64.b64encode(task.reference).decode()
    return payload


def to_purge(model_id: str | None) -> dict[str, Any]:
    """Return the request to remove one model, or all, from memory."""
    return {"task": "purge", "model_id": model_id}


def to_image(body: bytes, task: ImageTask) -> GeneratedImage:
    """Read the worker's answer to the task."""
    answer = mapping(parsed(body))
    if not answer:
        raise ProviderFailure(Failure.BAD_ANSWER, f"{WHO} answered in an unknown form")
    if answer.get("id") != task.id:
        raise ProviderFailure(Failure.BAD_ANSWER, f"{WHO} answered another request")
    seed = answer.get("seed")
    seed = seed if type(seed) is int and 0 <= seed <= MAX_SEED else None
    generated = with_times(GeneratedImage(image(answer.get("image", "")), seed), answer)
    return with_mask(generated, answer, WHO) if task.task == BACKGROUND else generated


def to_failure(body: bytes | str) -> ProviderFailure | None:
    """Map an error of the worker to a failure; `None` if the body is none of its errors."""
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
    """Map an error response of SageMaker to a failure. The worker's own error is inside a ModelError."""
    error = response.get("Error", {})
    name, said = str(error.get("Code", "")), str(error.get("Message", ""))
    if name == "ModelError":
        return to_lost(str(response.get("OriginalMessage") or said))
    meta = response.get("ResponseMetadata", {})
    if meaning := AWS_ERRORS.get(name):
        code, end = next((m for text, m in MESSAGES.items() if text in said.lower()), meaning)
        return ProviderFailure(code, f"{WHO} {end}")
    # an AWS error class is a name; for a proxy's error botocore sets the status instead
    body = b"" if name[:1].isalpha() else b"<html>"
    return http.failure(http.Answer(meta.get("HTTPStatusCode", 500), meta.get("HTTPHeaders", {}), body), WHO)


def to_lost(said: str) -> ProviderFailure:
    """Map a failure that SageMaker reports: the worker's error, alone or quoted in a sentence of SageMaker."""
    quoted = said[said.find("{") : said.rfind("}") + 1]
    if failure := to_failure(quoted) or to_failure(quoted.replace('\\"', '"')):
        return failure
    code, end = next((m for text, m in MESSAGES.items() if text in said.lower()), CODES["failed"])
    return ProviderFailure(code, f"{WHO} {end}")

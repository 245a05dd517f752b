"""Calls the Stability AI models of Amazon Bedrock, one image per call."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final

from lambdas.domain.failure_boundary import keeping, unsent
from lambdas.domain.failures import Failure, Paid, ProviderFailure
from lambdas.domain.jobs.request import MAX_SEED, GeneratedImage, ImageTask
from lambdas.egress import aws, retry_after
from lambdas.egress.deadline import within
from lambdas.providers._client.hostile_json import image, parsed
from lambdas.settings import Settings

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 300  # for one read
MAX_BODY: Final = 25_000_000  # Bedrock's own limit
CHUNK: Final = 8192
MAX_RETRY_AFTER: Final = 3600.0
STRENGTH: Final = 0.8  # 0 to 1: the repainted share of a reference image

# The failure, whether the call may have been charged, and the sentence for the client.
Meaning = tuple[Failure, Paid, str]

# By AWS's error class, as of 2026-09-26:
# https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html
ERRORS: Final[dict[str, Meaning]] = {
    "ThrottlingException": (Failure.THROTTLED, "no", "this account is being throttled"),
    "ModelNotReadyException": (Failure.UNAVAILABLE, "no", "the model is not ready yet"),
    "ServiceUnavailableException": (Failure.UNAVAILABLE, "no", "no capacity is free now"),
    "overloaded_error": (Failure.UNAVAILABLE, "no", "the model is overloaded"),
    "InternalServerException": (Failure.FAILED, "unknown", "internal error"),
    "ModelTimeoutException": (Failure.TIMEOUT, "unknown", "the model took too long"),
    "ModelErrorException": (Failure.FAILED, "unknown", "the model failed"),
    "ServiceQuotaExceededException": (Failure.OUT_OF_CREDIT, "no", "this account's quota for the model is used up"),
    "AccessDeniedException": (Failure.NOT_AUTHORIZED, "no", "this account may not use the model"),
    "ResourceNotFoundException": (Failure.MODEL_GONE, "no", "the model is not there any more"),
    "ValidationException": (Failure.INVALID_REQUEST, "no", "the request was not accepted"),
}

# By HTTP status, for classes that are not in the table; every other status counts as 400 or 500.
STATUSES: Final[dict[int, Meaning]] = {
    400: ERRORS["ValidationException"],
    401: (Failure.NOT_AUTHORIZED, "no", "our credentials were not accepted"),
    403: (Failure.NOT_AUTHORIZED, "no", "our credentials were not accepted"),
    404: ERRORS["ResourceNotFoundException"],
    408: ERRORS["ModelTimeoutException"],
    429: ERRORS["ThrottlingException"],
    500: ERRORS["InternalServerException"],
    503: ERRORS["ServiceUnavailableException"],
    529: ERRORS["overloaded_error"],
}

# An error without an AWS error class comes from a proxy in front of AWS.
IN_FRONT: Final = "was not reached: something in front of it refused the call"

# By a part of the message, if it is more specific than the class.
MESSAGES: Final[dict[str, Meaning]] = {
    "reached the end of its life": (Failure.MODEL_GONE, "no", "the model has reached the end of its life"),
    "marked by provider as Legacy": (
        Failure.MODEL_GONE,
        "no",
        "the model is closed to accounts that did not use it lately",
    ),
    "model identifier is invalid": (Failure.MODEL_GONE, "no", "the model does not exist in this Region"),
    "on-demand throughput": (Failure.MODEL_GONE, "no", "the model is only there through an inference profile"),
    "MPAgreementBeingCreated": (
        Failure.UNAVAILABLE,
        "no",
        "the subscription to the model is being made; wait 15 minutes",
    ),
    "Agreement Pending": (Failure.UNAVAILABLE, "no", "the subscription to the model is being made; wait 15 minutes"),
    "Agreement Failed": (Failure.NOT_AUTHORIZED, "no", "this account's subscription to the model failed"),
}


def build(settings: Settings) -> Bedrock:
    """The provider; nothing is connected before its first call."""
    return Bedrock(settings.bedrock_region)


class Bedrock:
    """Has one client per Region, shared by the threads of this process."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._clients = aws.Clients(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS)

    def paint(self, task: ImageTask, timeout: float) -> GeneratedImage:
        """Generate one image in one call. Raises ProviderFailure."""
        if timeout <= 0:
            raise ProviderFailure(Failure.TIMEOUT, "no time was left for the call", paid="no")
        with unsent("bedrock"):
            payload = json.dumps(to_payload(task)).encode()
        ends_at = time.monotonic() + timeout
        try:
            answer = within(timeout, lambda: self._invoke(task, payload, ends_at))
        except TimeoutError:
            raise ProviderFailure(Failure.TIMEOUT, f"no answer within {timeout:.0f} s", paid="unknown") from None
        with keeping(answer):
            return to_image(answer)

    def _invoke(self, task: ImageTask, payload: bytes, ends_at: float) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError
        from urllib3.exceptions import HTTPError

        answered = False
        try:
            client = self._client(task.card.region or self._region)
            answer = client.invoke_model(
                modelId=task.card.id, contentType="application/json", accept="application/json", body=payload
            )
            answered = True
            return _read(answer["body"], ends_at)
        except ClientError as error:
            raise to_failure(error.response) from error
        except (AttributeError, TypeError, ValueError, KeyError, RecursionError) as error:  # botocore on malformed JSON
            raise ProviderFailure(Failure.BAD_ANSWER, "the answer had an unknown form", paid="unknown") from error
        except (BotoCoreError, ResponseParserError, HTTPError, OSError) as error:
            raise to_lost(error, answered=answered) from error

    def _client(self, region: str) -> Any:
        try:
            return self._clients.get("bedrock-runtime", region)
        except ValueError as error:  # for an invalid endpoint URL in our settings
            raise ProviderFailure(Failure.NOT_AUTHORIZED, "our credentials or settings cannot be used") from error


def to_payload(task: ImageTask) -> dict[str, Any]:
    """Return the request body. The size depends on the ratio alone; these models have no steps and no cfg.

    An editing service uses the size of its image, and paints where its mask is white.
    """
    if "remove-background" in task.card.capabilities:
        return {"image": _base64(task.reference), "output_format": task.format}
    payload: dict[str, Any] = {"prompt": task.prompt, "seed": task.seed, "output_format": task.format}
    if task.reference and not task.mask:  # the reference image gives the size
        payload |= {"mode": "image-to-image", "image": _base64(task.reference), "strength": STRENGTH}
    elif task.ratio:
        payload["aspect_ratio"] = task.ratio
    if task.negative_prompt:
        payload["negative_prompt"] = task.negative_prompt
    if task.mask:
        payload |= {"image": _base64(task.reference), "mask": _base64(task.mask)}
    return payload


def _base64(data: bytes | None) -> str:
    return base64.b64encode(data or b"").decode()


def to_image(body: bytes) -> GeneratedImage:
    """Read an answer with status 200, which a moderated request has as well."""
    answer = parsed(body)
    if not isinstance(answer, dict):
        raise ProviderFailure(Failure.BAD_ANSWER, "the answer had an unknown form", paid="unknown")
    _raise_reason(answer.get("finish_reasons"))
    if answer.get("errors"):
        raise ProviderFailure(Failure.FAILED, "the answer held errors and no image", paid="unknown")
    images = answer.get("images")
    made = isinstance(images, list) and any(images)
    if not isinstance(images, list) or len(images) != 1:
        raise ProviderFailure(
            Failure.BAD_ANSWER, "the answer did not hold exactly one image", paid="unknown", made=made
        )
    return GeneratedImage(image(images[0], paid="unknown", made=made), _seed(answer.get("seeds")))


def to_failure(response: Mapping[str, Any]) -> ProviderFailure:
    """Map an error response of AWS to a failure."""
    error, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
    name, said = str(error.get("Code", "")), str(error.get("Message", ""))
    status = meta.get("HTTPStatusCode", 500)
    meaning = ERRORS.get(name) or STATUSES.get(status) or STATUSES[500 if status >= 500 else 400]
    if not name[:1].isalpha() and meaning[0] not in (Failure.THROTTLED, Failure.TIMEOUT):
        meaning = (Failure.UNAVAILABLE, meaning[1], IN_FRONT)
    elif status < 500:
        meaning = next((m for text, m in MESSAGES.items() if text in f"{name} {said}"), meaning)
    code, paid, sentence = meaning
    if code == Failure.INVALID_REQUEST and said:
        sentence = f"{sentence}: {said[:300]}"
    headers = meta.get("HTTPHeaders", {})
    wait = retry_after.seconds(headers.get("retry-after", ""), MAX_RETRY_AFTER, headers.get("date", ""))
    return ProviderFailure(code, sentence, paid=paid, retry_after=wait)


def _raise_reason(reasons: object) -> None:
    for reason in reasons if isinstance(reasons, list) else [reasons]:
        if reason is None:
            continue
        # Whether AWS charges for a filtered image is not documented.
        if str(reason).startswith("Filter reason"):
            what = str(reason)[:40].partition(":")[2].strip() or "request"
            raise ProviderFailure(Failure.CONTENT_POLICY, f"the content filter refused the {what}", paid="unknown")
        raise ProviderFailure(Failure.FAILED, "the model ended without an image", paid="unknown")


def to_lost(error: Exception, *, answered: bool) -> ProviderFailure:
    """Map the error of a call that ended before or within its HTTP response to a failure."""
    from botocore import exceptions

    if isinstance(error, exceptions.ReadTimeoutError):
        return ProviderFailure(Failure.TIMEOUT, "it stopped answering", paid="unknown")
    if answered or not isinstance(error, exceptions.BotoCoreError):
        return ProviderFailure(
            Failure.OUTCOME_UNKNOWN, "the connection broke in the midst of the answer", paid="unknown"
        )
    unreached = exceptions.ConnectTimeoutError, exceptions.EndpointConnectionError, exceptions.ProxyConnectionError
    if isinstance(error, unreached):
        return ProviderFailure(Failure.UNAVAILABLE, "it could not be reached", paid="no")
    if isinstance(error, exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return ProviderFailure(Failure.UNAVAILABLE, "the certificate could not be verified", paid="no")
    if isinstance(error, (exceptions.HTTPClientError, exceptions.SSLError)):
        return ProviderFailure(Failure.OUTCOME_UNKNOWN, "the connection broke before the answer", paid="unknown")
    # botocore raises its other errors before it sends anything: credentials, Region, parameters
    return ProviderFailure(Failure.NOT_AUTHORIZED, "our credentials or settings cannot be used", paid="no")


def _read(stream: Any, ends_at: float) -> bytes:
    """Read the body in chunks, so that the thread ends soon after its caller's timeout."""
    body = bytearray()
    with closing(stream):
        while chunk := stream.read(CHUNK):
            body += chunk
            if len(body) > MAX_BODY:
                raise ProviderFailure(Failure.BAD_ANSWER, "the answer was too large", paid="unknown")
            if time.monotonic() > ends_at:
                raise ProviderFailure(Failure.TIMEOUT, "the answer took too long", paid="unknown")
    return bytes(body)


def _seed(seeds: object) -> int | None:
    """Return the seed, which AWS documents as text and shows as a number."""
    first = seeds[0] if isinstance(seeds, list) and seeds else None
    if isinstance(first, str) and first.isascii() and first.isdigit() and len(first) <= 10:
        first = int(first)
    return first if type(first) is int and 0 <= first <= MAX_SEED else None

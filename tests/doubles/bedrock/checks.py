"""AWS's checks of a call before the model gets it: route, signature scope, model, and the body's schema."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from email.message import Message
from typing import Any
from urllib.parse import unquote

from jsonschema_rs import Draft202012Validator

from tests.doubles.bedrock.editing import SCHEMAS as EDITING
from tests.doubles.bedrock.editing import wrong
from tests.doubles.bedrock.faults import Refusal
from tests.doubles.bedrock.models import ENDED, PROFILE_ONLY, SCHEMAS, wrong_start

SCOPE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[\w-]+/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request, "
    r"SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}"
)
VALIDATORS = {model: Draft202012Validator(schema) for model, schema in (SCHEMAS | EDITING).items()}


class Refused(Exception):
    def __init__(self, error: str, status: int, message: str) -> None:
        self.refusal = Refusal(error, status, message)


def check(path: str, headers: Message, raw: bytes) -> tuple[str, dict[str, Any]]:
    """The model and the body of a call that AWS would let through; else Refused."""
    route = re.fullmatch(r"/model/([^/:]+)/invoke", path)  # a bare colon would not match its signature
    if route is None:
        raise Refused("UnknownOperationException", 404, "Unknown operation")
    region = _region(headers)
    model = unquote(route[1])
    if model in ENDED:
        raise Refused("ResourceNotFoundException", 404, "This model version has reached the end of its life.")
    if model in PROFILE_ONLY:
        raise Refused(
            "ValidationException",
            400,
            f"Invocation of model ID {model} with on-demand throughput isn't supported. Retry your request "
            "with the ID or ARN of an inference profile that contains this model.",
        )
    if model not in VALIDATORS or region != "us-west-2":
        raise Refused("ValidationException", 400, "The provided model identifier is invalid.")
    for header in ("Content-Type", "Accept"):
        if headers.get(header) != "application/json":
            raise Refused("ValidationException", 400, f"The {header} of the request is not supported.")
    body = _valid(model, raw)
    if model in EDITING and (why := wrong(body)):
        raise Refused("ValidationException", 400, why)
    if model in SCHEMAS and (why := wrong_start(body)):
        raise Refused("ValidationException", 400, why)
    return model, body


def _region(headers: Message) -> str:
    scope = SCOPE.fullmatch(headers.get("Authorization", ""))
    if scope is None:
        raise Refused("MissingAuthenticationTokenException", 403, "Missing Authentication Token")
    day, region, service, signed = scope.groups()
    stamp = headers.get("X-Amz-Date", "")
    with suppress(ValueError):
        age = datetime.now(UTC) - datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if service == "bedrock" and stamp.startswith(day) and abs(age.total_seconds()) < 900 and "host" in signed:
            return region
    raise Refused("InvalidSignatureException", 403, "Credential should be scoped to correct service: 'bedrock'.")


def _valid(model: str, raw: bytes) -> dict[str, Any]:
    def no_constant(name: str) -> None:
        raise ValueError(name)

    try:
        body = json.loads(raw, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise Refused("ValidationException", 400, "Malformed input request, please reformat your input.") from None
    for error in VALIDATORS[model].iter_errors(body):
        at = "/".join(str(part) for part in error.instance_path)
        raise Refused(
            "ValidationException",
            400,
            f"Malformed input request: #/{at} breaks the rule {type(error.kind).__name__}, please reformat your input.",
        )
    return dict(body)

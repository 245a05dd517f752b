"""Reproduces API Gateway: its limits, its error answers as the template defines them, and its changes to headers.

The lists of headers are those of a Lambda proxy integration of a REST API:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
"""

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

MAX_BODY = 10 * 1024 * 1024  # bytes; API Gateway's limit for a request
MAX_PAYLOAD = 6 * 1024 * 1024  # bytes; Lambda's limit for events and answers, with binary bodies as base64
INTEGRATION_SECONDS = 29.0
MAX_HEAD = 10_240  # bytes of the request line and all headers
# Request headers that the function never receives; API Gateway writes the x-forwarded ones itself.
DROPPED = frozenset(
    b"connection content-md5 expect keep-alive max-forwards proxy-authenticate proxy-authorization server te trailer "
    b"transfer-encoding upgrade www-authenticate x-forwarded-for x-forwarded-port x-forwarded-proto".split()
)
# Headers of a function's answer. Date and Server are renamed too, but here they are the emulator's.
RENAMED = frozenset(b"authorization connection content-md5 max-forwards user-agent www-authenticate".split())
LOST = frozenset(b"expect host proxy-authenticate te trailer transfer-encoding upgrade via".split())

# AWS's default status and text of each error that the front may answer.
DEFAULTS = {
    "REQUEST_TOO_LARGE": (413, "Request Too Long"),
    "INTEGRATION_TIMEOUT": (504, "Endpoint request timed out"),
    "INTEGRATION_FAILURE": (504, "Internal server error"),
    "API_CONFIGURATION_ERROR": (500, "Internal server error"),
}
DEFAULT_TEMPLATE = '{"message":$context.error.messageString}'
VARIABLE = re.compile(r"\$(?:\{(context(?:\.[A-Za-z]+)+)\}|(context(?:\.[A-Za-z]+)+))")


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


# OpenAI's error type of a status code
OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


class Gateway:
    """The gateway responses of one deployed template."""

    def __init__(self, template: Mapping[str, Any]) -> None:
        self.responses = {
            r["Properties"]["ResponseType"]: r["Properties"]
            for r in template["Resources"].values()
            if r["Type"] == "AWS::ApiGateway::GatewayResponse"
        }

    def error(self, kind: str, path: str) -> Answer:
        """Return the answer for a gateway error such as INTEGRATION_TIMEOUT."""
        status, message = DEFAULTS[kind]
        response = self.responses.get(kind) or self.responses.get(f"DEFAULT_{status // 100}XX", {})
        status = int(response.get("StatusCode", status))
        template = response.get("ResponseTemplates", {}).get("application/json", DEFAULT_TEMPLATE)
        request_id = str(uuid.uuid4())
        values = {
            "context.requestId": request_id,
            "context.error.message": message,
            "context.error.messageString": json.dumps(message),
            "context.error.responseType": kind,
            "context.resourcePath": path,
            "context.status": str(status),
        }
        headers = {"content-type": "application/json", "x-request-id": request_id, "access-control-allow-origin": "*"}
        for name, source in response.get("ResponseParameters", {}).items():
            value = source[1:-1] if source.startswith("'") else values.get(source)
            if value is not None:
                headers[name.removeprefix("gatewayresponse.header.").lower()] = value
        body = re.sub(VARIABLE, lambda m: values.get(m[1] or m[2], m[0]), template)
        return self.finished(
            Answer(status, [(k.encode(), v.encode()) for k, v in headers.items()], body.encode()), path
        )

    def passed(self, answer: Answer, path: str) -> Answer:
        """Return the emulator's answer with API Gateway's changes to its headers."""
        if is_gateways_own(answer):  # fills in the one variable that the emulator lacks
            return self.finished(answer, path)
        headers = [
            (b"x-amzn-Remapped-" + name if name.lower() in RENAMED else name, value)
            for name, value in answer.headers
            if name.lower() not in LOST
        ]
        return Answer(answer.status, headers, answer.body)

    @staticmethod
    def finished(answer: Answer, path: str) -> Answer:
        """Return a gateway response with the path filled in."""
        headers = [(k, v) for k, v in answer.headers if k.lower() != b"content-length"]
        return Answer(answer.status, headers, answer.body.replace(b"$context.path", path.encode()))


def is_gateways_own(answer: Answer) -> bool:
    """Return whether the answer is a gateway response, not a function's."""
    return any(name.lower() == b"x-amzn-errortype" for name, _ in answer.headers)


def head_size(method: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    """Return the bytes of a request's line and headers."""
    return len(f"{method}  HTTP/1.1") + len(target) + sum(len(name) + len(value) + 4 for name, value in headers)


def failure(answer: Answer) -> str | None:
    """Return the gateway error that an answer of the emulator represents, None for a function's own answer.

    Every answer of the service, and every gateway response of the template, has X-Request-Id. An answer without it is
    the emulator's own: a function crashed, timed out, had no capacity, or gave an answer that AWS would call malformed.
    """
    if any(name.lower() == b"x-request-id" for name, _ in answer.headers):
        return None
    if answer.status == 429:
        return "API_CONFIGURATION_ERROR"  # AWS's error for a function at its limit of concurrent runs
    return "INTEGRATION_TIMEOUT" if b"Sandbox.Timedout" in answer.body[:2000] else "INTEGRATION_FAILURE"


def payload_size(body: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    """Return about how many bytes a Lambda event or answer with this body has: text as JSON, bytes as base64."""
    kind = next((v for k, v in headers if k.lower() == b"content-type"), b"")
    text = kind.startswith((b"text/", b"application/json", b"application/problem+json"))
    if text:
        return len(json.dumps(body.decode("utf-8", "replace"), ensure_ascii=False).encode()) - 2
    return (len(body) + 2) // 3 * 4

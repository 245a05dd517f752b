"""API Gateway's own limits and answers, as the template words them, and what it does to headers.

The table of headers is that of a Lambda proxy integration of a REST API:
https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
"""

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

MAX_BODY = 10 * 1024 * 1024  # API Gateway takes no larger request
MAX_PAYLOAD = 6 * 1024 * 1024  # nor does Lambda take or give a larger event, where bytes travel as base64
INTEGRATION_SECONDS = 29.0
MAX_HEAD = 10_240  # bytes of the request's line and all its headers
# Of a request, which the function never sees; the forwarding ones API Gateway writes itself.
DROPPED = frozenset(
    b"connection content-md5 expect keep-alive max-forwards proxy-authenticate proxy-authorization server te trailer "
    b"transfer-encoding upgrade www-authenticate x-forwarded-for x-forwarded-port x-forwarded-proto".split()
)
# Of a function's answer; its Date and Server too are renamed, but here they are the emulator's.
RENAMED = frozenset(b"authorization connection content-md5 max-forwards user-agent www-authenticate".split())
LOST = frozenset(b"expect host proxy-authenticate te trailer transfer-encoding upgrade via".split())

# AWS's default status and text for each answer the front may have to give.
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


# OpenAI's word for a class of status codes
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
        """The answer for a gateway error such as INTEGRATION_TIMEOUT."""
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
        """What becomes of the emulator's answer on its way out."""
        if is_gateways_own(answer):  # with the one variable that the emulator lacks
            return self.finished(answer, path)
        headers = [
            (b"x-amzn-Remapped-" + name if name.lower() in RENAMED else name, value)
            for name, value in answer.headers
            if name.lower() not in LOST
        ]
        return Answer(answer.status, headers, answer.body)

    @staticmethod
    def finished(answer: Answer, path: str) -> Answer:
        """A gateway response with the path in it."""
        headers = [(k, v) for k, v in answer.headers if k.lower() != b"content-length"]
        return Answer(answer.status, headers, answer.body.replace(b"$context.path", path.encode()))


def is_gateways_own(answer: Answer) -> bool:
    """Whether no function gave the answer."""
    return any(name.lower() == b"x-amzn-errortype" for name, _ in answer.headers)


def head_size(method: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    """Bytes of a request's line and headers."""
    return len(f"{method}  HTTP/1.1") + len(target) + sum(len(name) + len(value) + 4 for name, value in headers)


def failure(answer: Answer) -> str | None:
    """The gateway error that an answer of the emulator stands for, if the function itself did not give it.

    Every answer of ours, and every gateway response of the template, has X-Request-Id. One without is the emulator's
    own: a function that crashed, timed out or found no room, or whose answer AWS would have called malformed.
    """
    if any(name.lower() == b"x-request-id" for name, _ in answer.headers):
        return None
    if answer.status == 429:
        return "API_CONFIGURATION_ERROR"  # so AWS calls a function that may not run once more at the same time
    return "INTEGRATION_TIMEOUT" if b"Sandbox.Timedout" in answer.body[:2000] else "INTEGRATION_FAILURE"


def payload_size(body: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    """How large a Lambda event or answer with this body is, near enough: text as JSON has it, bytes as base64."""
    kind = next((v for k, v in headers if k.lower() == b"content-type"), b"")
    text = kind.startswith((b"text/", b"application/json", b"application/problem+json"))
    if text:
        return len(json.dumps(body.decode("utf-8", "replace"), ensure_ascii=False).encode()) - 2
    return (len(body) + 2) // 3 * 4

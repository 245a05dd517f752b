"""API Gateway's own limits and answers, as the template words them."""

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

MAX_BODY = 10 * 1024 * 1024  # API Gateway takes no larger request
MAX_PAYLOAD = 6 * 1024 * 1024  # nor does Lambda take or give a larger event, where bytes travel as base64
INTEGRATION_SECONDS = 29.0
OPENAI_PATHS = "/v1/images/"

# AWS's default status and text for each answer the front may have to give.
DEFAULTS = {
    "REQUEST_TOO_LARGE": (413, "Request Too Long"),
    "INTEGRATION_TIMEOUT": (504, "Endpoint request timed out"),
    "INTEGRATION_FAILURE": (502, "Internal server error"),
}
DEFAULT_TEMPLATE = '{"message":$context.error.messageString}'
VARIABLE = re.compile(r"\$(?:\{(context(?:\.[A-Za-z]+)+)\}|(context(?:\.[A-Za-z]+)+))")
OPENAI_TYPES = {413: "invalid_request_error", 429: "rate_limit_error"}


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


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

    @staticmethod
    def finished(answer: Answer, path: str) -> Answer:
        """A gateway response with the path in it, and in OpenAI's shape on its routes: API Gateway knows one shape."""
        headers = [(k, v) for k, v in answer.headers if k.lower() != b"content-length"]
        answer = Answer(answer.status, headers, answer.body.replace(b"$context.path", path.encode()))
        return in_openai_shape(answer) if path.startswith(OPENAI_PATHS) else answer


def in_openai_shape(answer: Answer) -> Answer:
    """The same error as clients of the OpenAI routes read it."""
    try:
        problem = json.loads(answer.body)
        message, code = problem.get("detail") or problem.get("message") or problem.get("title"), problem.get("code")
    except (ValueError, AttributeError):
        return answer
    kind = OPENAI_TYPES.get(answer.status, "server_error" if answer.status >= 500 else "invalid_request_error")
    body = json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode()
    headers = [(k, v) for k, v in answer.headers if k.lower() != b"content-type"]
    return Answer(answer.status, [*headers, (b"content-type", b"application/json")], body)


def failure(answer: Answer) -> str | None:
    """The gateway error that an answer of the emulator stands for, if the function itself did not give it.

    Every answer of ours, and every gateway response of the template, has X-Request-Id. One without is the emulator's
    own: a function that crashed or timed out, or whose answer AWS would have called malformed.
    """
    if any(name.lower() == b"x-request-id" for name, _ in answer.headers):
        return None
    return "INTEGRATION_TIMEOUT" if b"Sandbox.Timedout" in answer.body[:2000] else "INTEGRATION_FAILURE"


def payload_size(body: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    """How large a Lambda event or answer with this body is, near enough: text as it is, bytes as base64."""
    kind = next((v for k, v in headers if k.lower() == b"content-type"), b"")
    text = kind.startswith((b"text/", b"application/json", b"application/problem+json"))
    return len(body) if text else (len(body) + 2) // 3 * 4

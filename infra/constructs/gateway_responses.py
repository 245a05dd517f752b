"""Defines the answers that API Gateway gives by itself, in the service's error formats.

It has one body for all routes, so each body has both of the contract's formats: a problem may have further members, and
OpenAI's clients read `error` alone. API Gateway renames no header of these answers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from aws_cdk import aws_apigateway as apigateway


@dataclass(frozen=True, slots=True)
class Problem:
    """One row: the gateway's name of the error, and the answer to the client."""

    kind: str
    status: int
    code: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict)


TITLES = {
    "forbidden": "Forbidden",
    "gateway_timeout": "Gateway timeout",
    "invalid_api_key": "API key not valid",
    "invalid_request": "Invalid request",
    "malformed_body": "Malformed body",
    "missing_api_key": "API key required",
    "not_found": "Not found",
    "rate_limited": "Rate limited",
    "temporarily_unavailable": "Temporarily unavailable",
    "too_large": "Too large",
    "unsupported_media_type": "Media type not handled",
}
# OpenAI's error type of a status code
OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
OPENAI_CODES = {"rate_limited": "rate_limit_exceeded"}  # its own word, where it has one
_PASSING = (429, 503, 504)
_RETRIED = {True: "'true'", False: "'false'"}
_RETRY = {"Retry-After": "'1'"}
_SOON = {"Retry-After": "'5'"}
_TOMORROW = {"Retry-After": "'3600'"}
_BEARER = {"WWW-Authenticate": "'Bearer'"}
_NO_KEY = "Send your API key as X-API-Key or as Authorization: Bearer."
_INVALID_KEY = "The API key is not valid. Send a valid one as X-API-Key or as Authorization: Bearer."
# The function failed, or Lambda has no capacity, which API Gateway reports as a configuration error.
_BROKEN = "The service could not answer. Try again in a moment; if it goes on, report the request id."

PROBLEMS: tuple[Problem, ...] = (
    Problem("ACCESS_DENIED", 401, "missing_api_key", _NO_KEY, _BEARER),  # the authorizer denies only a missing key
    Problem("API_CONFIGURATION_ERROR", 503, "temporarily_unavailable", _BROKEN, _SOON),
    Problem("AUTHORIZER_CONFIGURATION_ERROR", 503, "temporarily_unavailable", _BROKEN, _SOON),
    Problem("AUTHORIZER_FAILURE", 503, "temporarily_unavailable", _BROKEN, _SOON),
    Problem(
        "BAD_REQUEST_BODY", 400, "malformed_body", "The body could not be read. Send valid JSON or multipart form data."
    ),
    Problem("BAD_REQUEST_PARAMETERS", 400, "invalid_request", "A parameter of path, query or headers is not valid."),
    Problem("DEFAULT_4XX", 400, "invalid_request", "The request could not be read. Check its path, headers and body."),
    Problem("DEFAULT_5XX", 503, "temporarily_unavailable", _BROKEN, _SOON),
    Problem("EXPIRED_TOKEN", 403, "invalid_api_key", _INVALID_KEY),
    Problem("INTEGRATION_FAILURE", 503, "temporarily_unavailable", _BROKEN, _SOON),
    Problem(
        "INTEGRATION_TIMEOUT",
        504,
        "gateway_timeout",
        "The answer took longer than 29 seconds. Send Prefer: respond-async and fetch the job later.",
    ),
    Problem("INVALID_API_KEY", 403, "invalid_api_key", _INVALID_KEY),
    Problem("INVALID_SIGNATURE", 403, "invalid_api_key", _INVALID_KEY),
    Problem(
        "MISSING_AUTHENTICATION_TOKEN", 404, "not_found", "There is no such route. GET /openapi.json lists them all."
    ),
    Problem("QUOTA_EXCEEDED", 429, "rate_limited", "The quota of this key is used up. Try again later.", _TOMORROW),
    Problem(
        "REQUEST_TOO_LARGE", 413, "too_large", "The body is too large: up to 4.5 MB are sure to pass, over 10 MB never."
    ),
    Problem("RESOURCE_NOT_FOUND", 404, "not_found", "There is no such route. GET /openapi.json lists them all."),
    Problem("THROTTLED", 429, "rate_limited", "Too many requests at once. Try again in a second.", _RETRY),
    Problem("UNAUTHORIZED", 401, "missing_api_key", _NO_KEY, _BEARER),
    Problem("UNSUPPORTED_MEDIA_TYPE", 415, "unsupported_media_type", "Send application/json or multipart/form-data."),
    Problem("WAF_FILTERED", 403, "forbidden", "The request was refused by a firewall rule."),
)


def add_gateway_responses(api: apigateway.RestApi, origins: Sequence[str]) -> None:
    """Give every answer of the gateway's own the contract's error format."""
    # one header cannot name several origins; these answers contain no tenant's data, so all may read them
    origin = origins[0] if len(origins) == 1 else "*"
    common = {
        "Content-Type": "'application/problem+json'",
        "X-Request-Id": "context.requestId",
        "X-Content-Type-Options": "'nosniff'",
        "Access-Control-Allow-Origin": f"'{origin}'",
        "Access-Control-Expose-Headers": "'X-Request-Id, Retry-After, WWW-Authenticate'",
    }
    for problem in PROBLEMS:
        api.add_gateway_response(
            "".join(word.capitalize() for word in problem.kind.split("_")),
            type=apigateway.ResponseType.of(problem.kind),
            status_code=str(problem.status),
            # OpenAI's SDKs repeat a request as this header says; one that took too long takes up its job
            response_headers={**common, "x-should-retry": _RETRIED[problem.status in _PASSING], **problem.headers},
            templates={"application/json": json.dumps(_body(problem))},
        )


def _body(problem: Problem) -> dict[str, object]:
    return {
        "type": f"urn:image-api:error:{problem.code}",
        "title": TITLES[problem.code],
        "status": problem.status,
        "detail": problem.detail,
        "instance": "$context.path",
        "code": problem.code,
        "error": {
            "message": problem.detail,
            "type": OPENAI_TYPES.get(
                problem.status, "invalid_request_error" if problem.status < 500 else "server_error"
            ),
            "param": None,
            "code": OPENAI_CODES.get(problem.code, problem.code),
        },
    }

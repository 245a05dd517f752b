"""Errors as answers: one table from error to status, and the two shapes that clients know."""

from __future__ import annotations

from typing import Any

from lambdas.domain import errors as e

STATUS: dict[type[e.ServiceError], int] = {
    e.InvalidRequest: 400,
    e.MalformedBody: 400,
    e.UnknownModel: 400,
    e.RetiredModel: 400,
    e.ProviderUnconfigured: 400,
    e.NotSupported: 400,
    e.Unauthenticated: 401,
    e.Forbidden: 403,
    e.NotFound: 404,
    e.MethodNotAllowed: 405,
    e.IdempotencyMismatch: 409,
    e.StillInProgress: 409,
    e.JobEnded: 409,
    e.JobStarted: 409,
    e.JobNotEnded: 409,
    e.WebhookPending: 409,
    e.ProjectExists: 409,
    e.JobCancelled: 409,
    e.Gone: 410,
    e.TooLarge: 413,
    e.UnsupportedMediaType: 415,
    e.ContentRefused: 422,
    e.RateLimited: 429,
    e.BudgetExceeded: 429,
    e.ServiceError: 500,
    e.ProvidersFailed: 502,
    e.OutcomeUnknown: 502,
    e.NoneAvailable: 503,
    e.Overloaded: 503,
    e.GenerationInProgress: 503,
    e.Unavailable: 503,
    e.GenerationTimeout: 504,
}

# What an invalid request is wrong in, where the error itself names no field.
_FIELDS: dict[type[e.ServiceError], str] = {
    e.UnknownModel: "model",
    e.RetiredModel: "model",
    e.ProviderUnconfigured: "provider",
}

PROBLEM = "application/problem+json"
TYPES = "urn:image-api:error:"  # a name for each kind of error, not an address to fetch

# OpenAI's word for a class of status codes; its SDK chooses the exception by the status itself.
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
# OpenAI's own type and code of an error, where its clients look for them.
_OPENAI_WORDS: dict[type[e.ServiceError], tuple[str, str]] = {
    e.ContentRefused: ("image_generation_user_error", "moderation_blocked"),
    e.RateLimited: ("rate_limit_error", "rate_limit_exceeded"),
    e.BudgetExceeded: ("insufficient_quota", "insufficient_quota"),
    e.UnknownModel: ("invalid_request_error", "model_not_found"),
}
OPENAI_PATHS = "/v1/images/"  # what begins so has its errors in OpenAI's shape
SHOULD_RETRY = "x-should-retry"  # OpenAI's SDKs repeat a request, or do not, as this header says
# What may be answered otherwise when the same request comes again.
_PASSING = (
    e.RateLimited,
    e.StillInProgress,
    e.GenerationInProgress,
    e.NoneAvailable,
    e.Overloaded,
    e.Unavailable,
)


def status_of(error: e.ServiceError) -> int:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def headers_of(error: e.ServiceError) -> dict[str, str]:
    """What the status asks for in headers, beside the error's own."""
    headers = dict(error.headers)
    if isinstance(error, e.Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    elif status_of(error) in (429, 503):
        headers["Retry-After"] = "5"
    return headers


def problem(error: e.ServiceError, path: str) -> dict[str, Any]:
    """RFC 9457. `instance` is the path that was asked for."""
    body: dict[str, Any] = {
        "type": TYPES + error.code,
        "title": error.title,
        "status": status_of(error),
        "detail": error.detail,
        "instance": path,
        "code": error.code,
    }
    wrong = error.errors
    if not wrong and body["status"] == 400:
        wrong = (e.FieldError(_FIELDS.get(type(error), "body"), error.detail),)
    if wrong:
        body["errors"] = [{"field": f.field, "message": f.message} for f in wrong]
    return body | error.members


def openai_error(error: e.ServiceError) -> dict[str, Any]:
    """The shape of OpenAI's API; `param` is the first invalid field. What else is told stands beside `error`."""
    status = status_of(error)
    kind = _OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    kind, code = _OPENAI_WORDS.get(type(error), (kind, error.code))
    param = _FIELDS.get(type(error))
    if error.errors:
        param, code = error.errors[0].field, error.errors[0].kind or code
    return {"error": {"message": error.detail, "type": kind, "param": param, "code": code}, **error.members}


def should_retry(error: e.ServiceError) -> bool:
    """Whether the same request may be answered otherwise if it is sent again.

    So it is after an error of our own: a repetition takes up what the failed request had begun. The end of a job says
    for itself, in its headers, whether another may be made.
    """
    return type(error) is e.ServiceError or (isinstance(error, _PASSING) and not isinstance(error, e.BudgetExceeded))

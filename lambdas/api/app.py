"""The API: an event of API Gateway in, its answer out, whatever happens in between."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lambdas.api import errors, limits, table
from lambdas.api.answer import Answer, GatewayAnswer
from lambdas.api.call import Call
from lambdas.domain import metrics
from lambdas.domain.errors import (
    Forbidden,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    ServiceError,
    Unauthenticated,
    Unavailable,
)
from lambdas.domain.links import is_signed
from lambdas.observability import logger, request_done
from lambdas.settings import Settings
from lambdas.usecases.deps import Deps

if TYPE_CHECKING:
    from lambdas.api.route import Route

METHODS = "GET, POST, DELETE, HEAD, OPTIONS"
_EXPOSED = "X-Request-Id, X-Image-Provider, Location, Retry-After, WWW-Authenticate, Idempotency-Replayed, Link, ETag"
EXPOSED = ", ".join((_EXPOSED, errors.SHOULD_RETRY, *limits.NAMES))
GATEWAY_SECONDS = 29.0  # for which API Gateway waits
ANSWER_RESERVE_SECONDS = 3.0  # of that time, kept for making the answer


def handle(event: dict[str, Any], remaining_ms: int, deps: Deps, settings: Settings) -> GatewayAnswer:
    """Answer one request of an API Gateway REST proxy integration. Never raises."""
    began = time.perf_counter()
    until = deadline(event, remaining_ms, deps.clock.now())
    call = Call.of(event, deps, until, settings.base_url, deployed=settings.deployed)
    logger.append_keys(request_id=call.request_id)
    answer = _answer(call, settings).to_gateway()
    if call.path.startswith(errors.OPENAI_PATHS):
        from lambdas.api import openai_headers

        milliseconds = (time.perf_counter() - began) * 1000
        answer["headers"] |= openai_headers.of(answer["headers"], milliseconds, call.log.get("error_code"))
    vary = [answer["headers"].pop("Vary", ""), "" if "*" in settings.cors_allow_origins else "Origin"]
    answer["headers"] |= _common_headers(call, settings)
    if any(vary):
        answer["headers"]["Vary"] = ", ".join(filter(None, vary))
    _count(call, answer["statusCode"], time.perf_counter() - began)
    return answer


def _count(call: Call, status: int, seconds: float) -> None:
    """Write the request into the log, CloudWatch's metrics and, where they are kept, the deployment's counters."""
    request_done(status, seconds * 1000)
    endpoint = table.template(call.path)
    asked = {"method": call.method, "path": call.path, "endpoint": endpoint, "tenant": call.identity.get("tenant", "")}
    logger.info("request", extra={**asked, "status": status, "ms": round(seconds * 1000, 1), **call.log})
    if call.deps.counters:
        limited = call.log.get("error_code") == RateLimited.code
        counted = metrics.of_request(call.method, endpoint, status, seconds, rate_limited=limited)
        call.deps.counters.request(*counted, call.deps.clock.now())


def deadline(event: dict[str, Any], remaining_ms: int, now: float) -> float:
    """Until when there must be an answer, in Unix seconds: by the function's own time, and by the gateway's.

    The gateway counts from the request's arrival, so the authorizer and a slow start of this function have had their
    part of it. The arrival is by the gateway's clock: one that cannot be true by ours does not count.
    """
    ends = now + remaining_ms / 1000
    arrived = (event.get("requestContext") or {}).get("requestTimeEpoch")
    if isinstance(arrived, (int, float)) and 0 <= now - arrived / 1000 < GATEWAY_SECONDS:
        ends = min(ends, arrived / 1000 + GATEWAY_SECONDS)
    return ends - ANSWER_RESERVE_SECONDS


def _answer(call: Call, settings: Settings) -> Answer:
    if call.method == "OPTIONS":
        return Answer(204)
    try:
        return _dispatched(call, settings)
    except ServiceError as error:
        return _error_answer(error, call)
    except Exception:  # noqa: BLE001 - the last wall: a client gets an answer whatever broke
        logger.exception("unhandled")
        told = "the service failed to answer; the request id helps to find out why"
        return _error_answer(ServiceError(told), call)


def _dispatched(call: Call, settings: Settings) -> Answer:
    """First the key, then what the route reads, then the tenant's rate, then the work. Raises ServiceError."""
    found = table.find("GET" if call.method == "HEAD" else call.method, call.path)
    if found is None:
        raise _no_route(call)
    row, params = found
    route = table.routes(row.group)[row.number]
    rate: dict[str, str] = {}
    try:
        tenant = "" if route.open else _tenant(call, route, settings)
        bound = route.bind(replace(call, params=params, tenant=tenant))
        rate = limits.admit(bound.call, route, bound.cost)
        answer = bound.run()
    except ServiceError as error:
        error.headers = rate | limits.of_budget(error, call) | error.headers
        raise
    answer.headers |= rate
    return answer


def _tenant(call: Call, route: Route, settings: Settings) -> str:
    """The tenant of a signed link, else the one that the authorizer found. Where it found none, its finding decides."""
    if route.linked and is_signed(call.path, call.query):
        from lambdas.usecases.links import tenant_of

        call.log["tenant"] = tenant = tenant_of(call.path, call.query, call.deps)
        return tenant
    finding = call.identity.get("auth", "missing")
    if finding == "ok":
        return call.identity["tenant"]
    if finding == "unknown":
        raise Forbidden("this API key is not valid here")
    if finding == "unavailable":
        raise Unavailable("the API key cannot be looked up now; try again in a moment", retry_after=5)
    if settings.require_api_key or route.keyed:
        raise Unauthenticated("send an API key as X-API-Key: KEY or Authorization: Bearer KEY")
    return "default"


def _no_route(call: Call) -> ServiceError:
    methods = table.methods(call.path)
    if not methods:
        return NotFound("there is nothing at this path; GET /docs lists every route")
    allowed = ", ".join([*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"])
    return MethodNotAllowed(f"this path takes {allowed}", headers={"Allow": allowed})


def _error_answer(error: ServiceError, call: Call) -> Answer:
    import json

    status = errors.status_of(error)
    headers = errors.headers_of(error)
    if call.path.startswith(errors.OPENAI_PATHS):
        body, media_type = errors.openai_error(error), "application/json"
        headers.setdefault(errors.SHOULD_RETRY, str(errors.should_retry(error)).lower())
    else:
        body, media_type = errors.problem(error, call.path), errors.PROBLEM
    call.log["error_code"] = error.code
    return Answer(status, json.dumps(body), media_type, headers)


def _common_headers(call: Call, settings: Settings) -> dict[str, str]:
    """On every answer: the request's id, and which pages of which origins may read it (`Vary` is the caller's)."""
    headers = {"X-Request-Id": call.request_id, "X-Content-Type-Options": "nosniff"}
    origin = call.headers.get("origin", "")
    if "*" in settings.cors_allow_origins:
        headers["Access-Control-Allow-Origin"] = "*"
    else:
        if origin not in settings.cors_allow_origins:
            return headers
        headers["Access-Control-Allow-Origin"] = origin
    if call.method != "OPTIONS":
        return headers | {"Access-Control-Expose-Headers": EXPOSED}
    return headers | {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": call.headers.get("access-control-request-headers", "*"),
        "Access-Control-Max-Age": "86400",
    }

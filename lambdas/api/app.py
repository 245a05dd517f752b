"""The API: an event of API Gateway in, its answer out, whatever happens in between."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from lambdas.api import errors, limits
from lambdas.api.call import Call
from lambdas.api.routers import (
    backgrounds,
    files,
    generate,
    jobs,
    meta,
    models,
    projects,
    prompts,
    providers,
    unified,
    webhooks,
)
from lambdas.api.routes import Answer, Route
from lambdas.domain.errors import Forbidden, MethodNotAllowed, NotFound, ServiceError, Unauthenticated, Unavailable
from lambdas.observability import logger, request_done
from lambdas.settings import Settings
from lambdas.usecases.deps import Deps

ROUTES: tuple[Route, ...] = (
    *meta.ROUTES,
    *generate.ROUTES,
    *backgrounds.ROUTES,
    *files.ROUTES,
    *models.ROUTES,
    *providers.ROUTES,
    *jobs.ROUTES,
    *unified.ROUTES,
    *prompts.ROUTES,
    *projects.ROUTES,
    *webhooks.ROUTES,
)
METHODS = "GET, POST, DELETE, HEAD, OPTIONS"
_EXPOSED = "X-Request-Id, X-Image-Provider, Location, Retry-After, WWW-Authenticate, Idempotency-Replayed, Link"
EXPOSED = ", ".join((_EXPOSED, *limits.NAMES))
GATEWAY_SECONDS = 29.0  # for which API Gateway waits
ANSWER_RESERVE_SECONDS = 3.0  # of that time, kept for making the answer


def handle(event: dict[str, Any], remaining_ms: int, deps: Deps, settings: Settings) -> dict[str, Any]:
    """Answer one request of an API Gateway REST proxy integration. Never raises."""
    began = time.perf_counter()
    call = Call.of(event, deps, deadline(event, remaining_ms, deps.clock.now()), settings.base_url)
    logger.append_keys(request_id=call.request_id)
    answer = _answer(event, call, settings)
    answer["headers"] = answer.get("headers") or {}
    answer["headers"] |= _common_headers(call, settings)
    answer["body"] = answer.get("body") or ""  # null is no body to every gateway
    took = (time.perf_counter() - began) * 1000
    request_done(answer["statusCode"], took)
    logger.info(
        "request",
        extra={"method": call.method, "path": call.path, "status": answer["statusCode"], "ms": round(took, 1)},
    )
    return answer


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


def _answer(event: dict[str, Any], call: Call, settings: Settings) -> dict[str, Any]:
    if call.method == "OPTIONS":
        return {"statusCode": 204, "body": "", "isBase64Encoded": False}
    try:
        router = _router()
        router.append_context(  # type: ignore[no-untyped-call]
            call=call, settings=settings
        )
        method = "GET" if call.method == "HEAD" else call.method
        return router.resolve({**event, "httpMethod": method, "path": call.path}, {})  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - the last wall: a client gets an answer whatever broke
        logger.exception("unhandled")
        failed = _error_answer(ServiceError("the service failed to answer; the request id helps to find out why"), call)
        return {"statusCode": failed.status_code, "headers": failed.headers, "body": failed.body} | {
            "isBase64Encoded": False
        }


@cache
def _router() -> APIGatewayRestResolver:
    router = APIGatewayRestResolver()
    for route in ROUTES:
        rule = route.path.replace("{", "<").replace("}", ">")
        router.route(rule=rule, method=route.method)(_dispatcher(router, route))
    router.not_found(lambda _error: _error_answer(_no_route(router.context["call"]), router.context["call"]))
    return router


def _dispatcher(router: APIGatewayRestResolver, route: Route) -> Callable[..., Answer]:
    def dispatch(**params: str) -> Answer:
        call: Call = router.context["call"]
        rate: dict[str, str] = {}
        try:
            tenant = "" if route.open else _tenant(call, route, router.context["settings"])
            call = replace(call, params=params, tenant=tenant)
            if route.body:
                payload = call.read_body(route.body, route.form, route.task_body, optional=route.body_optional)
                call = replace(call, payload=payload)
            if route.query:
                call = replace(call, filters=call.read_query(route.query))
            rate = limits.admit(call, route)
            answer = route.handle(call)
            answer.headers |= rate
            return answer
        except ServiceError as error:
            error.headers = rate | limits.of_budget(error, call) | error.headers
            return _error_answer(error, call)

    return dispatch


def _tenant(call: Call, route: Route, settings: Settings) -> str:
    """The tenant that the authorizer found. Where it found none, its finding decides."""
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
    methods = sorted({r.method for r in ROUTES if _pattern(r.path).fullmatch(call.path)})
    if not methods:
        return NotFound("there is nothing at this path; GET /docs lists every route")
    allowed = ", ".join([*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"])
    return MethodNotAllowed(f"this path takes {allowed}", headers={"Allow": allowed})


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{[a-z_]+\\}", "[^/]+", re.escape(path)))


def _error_answer(error: ServiceError, call: Call) -> Answer:
    import json

    status = errors.status_of(error)
    if call.path.startswith("/v1/images/"):
        body, media_type = errors.openai_error(error), "application/json"
    else:
        body, media_type = errors.problem(error, call.path), errors.PROBLEM
    headers = errors.headers_of(error) | {"Content-Type": media_type}
    return Response(
        status_code=int(HTTPStatus(status)), content_type=media_type, body=json.dumps(body), headers=headers
    )


def _common_headers(call: Call, settings: Settings) -> dict[str, str]:
    """On every answer: the request's id, and which pages of which origins may read it."""
    headers = {"X-Request-Id": call.request_id, "X-Content-Type-Options": "nosniff"}
    origin = call.headers.get("origin", "")
    if "*" in settings.cors_allow_origins:
        headers["Access-Control-Allow-Origin"] = "*"
    else:
        headers["Vary"] = "Origin"
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

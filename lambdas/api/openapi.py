"""The OpenAPI 3.1 document, made from the table of routes and the models they name."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lambdas import VERSION
from lambdas.api.errors import OPENAI_PATHS, PROBLEM
from lambdas.api.limits import NAMES
from lambdas.api.route import BodyRoute, QueryRoute, Route, Shape
from lambdas.api.schemas.errors import OpenAIError, Problem
from lambdas.api.table import every_route
from lambdas.domain import catalogue

Json = dict[str, Any]

_PATH_PATTERNS = {
    "name": "File name, such as im_0123456789abcdef.png.",
    "job_id": "A generation_id.",
    "batch_id": "A batch_id.",
    "project_id": "A project_id.",
    "image_id": "The id of one of the job's images.",
    "model_id": "A model's id, such as runware:101@1; of one with a slash, all of it with %2F, or what is behind it.",
    "owner": "What is before the slash of a model's id, such as stabilityai.",
}
_REQUEST_HEADERS: dict[str, Json] = {
    "Idempotency-Key": {
        "description": "The same key and body within 24 hours get the first answer again; nothing is paid twice.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    },
    "If-None-Match": {
        "description": "ETags that the client has: for one of them the answer is 304 without the file.",
        "schema": {"type": "string"},
    },
    "Prefer": {
        "description": "`respond-async`: answer 202 at once; the work goes on as a job.",
        "schema": {"type": "string", "examples": ["respond-async"]},
    },
    "X-Stainless-Retry-Count": {
        "description": "Which repetition of the request this is, from 0, as OpenAI's SDKs say by themselves: above 0, "
        "and without an Idempotency-Key, it takes up the job of the sending before.",
        "schema": {"type": "string", "examples": ["0"]},
    },
}
_ANSWER_HEADERS: dict[str, Json] = {
    "X-Request-Id": {"description": "Stands in the logs and on the job.", "schema": {"type": "string"}},
    "Location": {"description": "Where to go on.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
    "Allow": {"description": "The methods of this path.", "schema": {"type": "string"}},
    "ETag": {"description": "Names these bytes for good.", "schema": {"type": "string"}},
    "X-Image-Provider": {"description": "Who made the image.", "schema": {"type": "string"}},
    "Idempotency-Replayed": {"description": "`true` on an answer given again.", "schema": {"type": "string"}},
    "RateLimit-Limit": {
        "description": "Generating requests a minute; where the month's budget refused, its US cents, else its images.",
        "schema": {"type": "integer"},
    },
    "RateLimit-Remaining": {"description": "What is left of it.", "schema": {"type": "integer"}},
    "RateLimit-Reset": {"description": "Seconds until the whole of it is free again.", "schema": {"type": "integer"}},
}


def document() -> Json:
    """The whole document: every route with its request, its answers and its errors."""
    paths: dict[str, Json] = {}
    for route in every_route():
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Image API",
            "version": VERSION,
            "summary": "One REST API that makes images.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"ApiKey": []}, {"Bearer": []}, {}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in every_route())],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "headers": _ANSWER_HEADERS,
            "securitySchemes": {
                "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "Bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _schemas() -> Json:
    sent = [body for route in every_route() if isinstance(route, BodyRoute) for body in route.bodies]
    bodies = [(body, "validation") for body in sent]
    answers = [
        (m, "serialization") for route in every_route() for shape in route.answers.values() for m in _models(shape)
    ]
    errors = [(Problem, "serialization"), (OpenAIError, "serialization")]
    wanted = list(dict.fromkeys([*bodies, *answers, *errors]))
    _, top = models_json_schema(wanted, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    schemas: Json = top["$defs"]
    for schema in schemas.values():
        properties = schema.get("properties", {})
        if "model" in properties and "anyOf" in properties["model"]:
            _name_models(properties["model"])
    return schemas


def _name_models(schema: Json) -> None:
    """The choices of a client, whose text is bounded; a model in an answer may be of another kind."""
    schema["anyOf"] = [
        {"type": "string", "enum": [card.id for card in catalogue.CARDS]} if "maxLength" in part else part
        for part in schema["anyOf"]
    ]


def _operation(route: Route) -> Json:
    operation: Json = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": {str(status): _answer(status, model) for status, model in sorted(route.answers.items())},
    }
    if route.open:
        operation["security"] = []
    if route.keyed:
        operation["security"] = [{"ApiKey": []}, {"Bearer": []}]
    if isinstance(route, BodyRoute):
        operation["requestBody"] = _request_body(route)
    for status in sorted({*route.errors, *(() if route.open else (401, 403, 503)), 429}):
        operation["responses"][str(status)] = _error(status, route)
    if route.counts:
        for response in operation["responses"].values():
            response["headers"] |= _headers(*NAMES)
    return operation


def _request_body(route: BodyRoute[BaseModel]) -> Json:
    content: Json = {"application/json": {"schema": _one_of(*filter(None, (route.body, route.task_body)))}}
    if route.form:
        files = getattr(route.form, "FILES", ("file",))
        encoding = {name: {"contentType": "image/png, image/jpeg, image/webp"} for name in files}
        content["multipart/form-data"] = {"schema": _one_of(route.form), "encoding": encoding}
    return {"required": not route.optional, "content": content}


def _models(shape: Shape) -> tuple[type[BaseModel], ...]:
    shapes = shape if isinstance(shape, tuple) else (shape,)
    return tuple(model for model in shapes if not isinstance(model, str))


def _one_of(*models: type[BaseModel]) -> Json:
    refs = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


def _operation_id(route: Route) -> str:
    words = re.sub(r"[^a-zA-Z0-9]+", "_", route.path).strip("_")
    return f"{route.method.lower()}_{words}"


def _path_parameters(route: Route) -> list[Json]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH_PATTERNS.get(name, ""),
            "schema": {"type": "string"},
        }
        for name in re.findall(r"{(\w+)}", route.path)
    ]


def _query_parameters(route: Route) -> list[Json]:
    if not isinstance(route, QueryRoute):
        return []
    schema = route.query.model_json_schema(mode="validation")
    parameters = []
    for name, prop in schema["properties"].items():
        rest = {k: v for k, v in prop.items() if k not in ("title", "description")}
        kinds = [part for part in rest.pop("anyOf", []) if part.get("type") != "null"]
        if rest.get("default", 0) is None:
            del rest["default"]
        merged = {**(kinds[0] if kinds else {}), **rest}
        parameters.append(
            # an empty value is as none, as in `?status=&limit=5`
            {"name": name, "in": "query", "required": False, "schema": {"anyOf": [merged, {"const": ""}]}}
            | ({"description": prop["description"]} if "description" in prop else {})
        )
    return parameters


def _header_parameters(route: Route) -> list[Json]:
    return [{"name": name, "in": "header", "required": False, **_REQUEST_HEADERS[name]} for name in route.headers]


def _headers(*names: str) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def _answer(status: int, model: Shape) -> Json:
    answer: Json = {"description": HTTPStatus(status).phrase, "headers": _headers()}
    if status == 304:
        answer["headers"] = _headers("ETag")
    if status in (201, 202, 303, 307):
        answer["headers"] = _headers("Location")
    if models := _models(model):
        answer["content"] = {"application/json": {"schema": _one_of(*models)}}
        files = [part for part in model if isinstance(part, str)] if isinstance(model, tuple) else []
        answer["content"] |= {media_type: {"schema": {"type": "string"}} for media_type in files}
    elif model == "image/*":
        answer["content"] = {kind: {} for kind in ("image/png", "image/jpeg", "image/webp", "image/avif")}
        answer["headers"] = _headers("X-Image-Provider", "ETag")
    elif model == "application/json":
        answer["content"] = {model: {"schema": {"type": "object"}}}
    elif model != "none":
        answer["content"] = {model: {"schema": {"type": "string"}}}
    return answer


def _error(status: int, route: Route) -> Json:
    openai = route.path.startswith(OPENAI_PATHS)
    media_type, name = ("application/json", "OpenAIError") if openai else (PROBLEM, "Problem")
    extra = {401: ("WWW-Authenticate",), 405: ("Allow",), 429: ("Retry-After", *NAMES), 503: ("Retry-After",)}
    return {
        "description": HTTPStatus(status).phrase,
        "headers": _headers(*extra.get(status, ())),
        "content": {media_type: {"schema": {"$ref": f"#/components/schemas/{name}"}}},
    }

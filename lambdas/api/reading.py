"""Reads a request's body and query into the models of its route, or says what is wrong with each field."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from lambdas.api import content_coding, multipart
from lambdas.api.call import Call
from lambdas.domain.errors import FieldError, InvalidRequest, MalformedBody, UnsupportedMediaType

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)
FILE = "file"  # the one field of most forms that is a file
_ONE_FILE = {FILE: 1}
_KINDS = {
    "extra_forbidden": "unknown_parameter",
    "missing": "missing_required_parameter",
    "greater_than_equal": "integer_below_min_value",
    "less_than_equal": "integer_above_max_value",
    "string_too_long": "string_above_max_length",
    "unsupported_value": "unsupported_value",
    "unsupported_parameter": "unsupported_parameter",
}
_JSON_TYPES = ("", "application/json", "application/x-www-form-urlencoded")  # curl -d sends the last


def read_body(
    call: Call, model: type[Model], form: type[Model] | None, task: type[Model] | None, *, optional: bool
) -> Model:
    """JSON, of `task` where it has a field of that name, or a `form` where the route takes one.

    Raises UnsupportedMediaType, MalformedBody or InvalidRequest with each wrong field.
    """
    media_type = call.headers.get("content-type", "").split(";")[0].strip().lower()
    sent = content_coding.decoded(call.body, call.headers.get("content-encoding", ""))
    if form is not None and media_type == multipart.MEDIA_TYPE:
        return _read_form(call, form, sent)
    sent = sent.removeprefix(codecs.BOM_UTF8).strip()
    if optional and not sent:
        return model()
    if task is not None and _names_task(sent):
        model = task
    if media_type not in _JSON_TYPES and not media_type.endswith("+json"):
        takes = "application/json" if form is None else f"application/json or {multipart.MEDIA_TYPE}"
        raise UnsupportedMediaType(f"this route takes {takes}, not {media_type[:80]}")
    if not sent:
        raise MalformedBody("the body is empty; a JSON object is needed")
    try:
        return model.model_validate_json(sent)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            if media_type == _JSON_TYPES[2] and not sent.startswith((b"{", b"[")):
                hint = "this route takes JSON: send it with Content-Type: application/json"
                raise UnsupportedMediaType(hint) from None
            raise MalformedBody(_not_json(first)) from None
        raise invalid_request(invalid) from None


def _read_form(call: Call, model: type[Model], sent: bytes) -> Model:
    """A field that is there and empty is as none, since browsers send every field of a form."""
    files: Mapping[str, int] = getattr(model, "FILES", _ONE_FILE)
    many = {name: most for name, most in files.items() if name != FILE}
    more = sum(files.values()) + len(model.model_fields) - multipart.MAX_PARTS
    parts = multipart.read_form(sent, call.headers.get("content-type", ""), many, max(0, more))
    values: dict[str, object] = {}
    for name, found in parts.items():
        if found[0].filename is not None and name not in model.model_fields:
            said = f"unknown field; the photo goes into `{next(iter(files))}`"
            raise InvalidRequest(f"{name}: {said}", errors=(FieldError(name, said, "unknown_parameter"),))
        if name in files:
            data = [base64.b64encode(part.data).decode() for part in found]
            values[name] = data if files[name] > 1 else data[0]
        else:
            values[name] = multipart.text_of(found[0])
    try:
        return model.model_validate({name: value for name, value in values.items() if value})
    except ValidationError as invalid:
        raise invalid_request(invalid) from None


def read_query(call: Call, model: type[Model], *, once: bool = False) -> Model:
    """Of a name given twice the last value counts, or none with `once`; an empty one is as none.

    Raises InvalidRequest.
    """
    if once and (twice := [name for name, values in call.query.items() if len(values) > 1]):
        found = tuple(FieldError(name[:100], "may be sent once") for name in twice[:20])
        raise InvalidRequest("; ".join(f"{f.field}: {f.message}" for f in found)[:1000], errors=found)
    try:
        return model.model_validate_strings({k: v[-1] for k, v in call.query.items() if v[-1]})
    except ValidationError as invalid:
        raise invalid_request(invalid) from None


def _names_task(sent: bytes) -> bool:
    try:
        body: object = from_json(sent)
    except ValueError:
        return False
    return isinstance(body, dict) and "task" in body


def _not_json(problem: ErrorDetails) -> str:
    """Why and where the parser stopped: line and column (in bytes) count from 1."""
    reason = str(problem["ctx"]["error"])
    if reason.startswith("unexpected end of hex escape"):
        reason = reason.replace("unexpected end of hex escape", "a leading surrogate without its trailing one")
    return f"the body is not valid JSON in UTF-8: {reason}"


def invalid_request(invalid: ValidationError) -> InvalidRequest:
    """Each wrong field by the name the client gave it, and what would be right."""
    found = tuple(
        FieldError(".".join(str(part) for part in problem["loc"]) or "body", _message(problem), _kind(problem["type"]))
        for problem in invalid.errors(include_url=False, include_input=False)[:20]
    )
    return InvalidRequest("; ".join(f"{f.field}: {f.message}" for f in found)[:1000], errors=found)


def _kind(problem: str) -> str:
    """OpenAI's word for one of pydantic's, or for one of a schema of ours."""
    return _KINDS.get(problem) or ("invalid_type" if problem.endswith("_type") else "invalid_value")


def _message(problem: ErrorDetails) -> str:
    if problem["type"] == "extra_forbidden":
        return "unknown field"
    if problem["type"] == "missing":
        return "this field is needed"
    if problem["type"] == "model_type":
        return "must be an object"
    if problem["type"] == "string_pattern_mismatch" and problem["ctx"]["pattern"] == r"\S":
        return "must not be blank"
    return str(problem["msg"]).removeprefix("Value error, ")

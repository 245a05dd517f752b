"""One HTTP request as the routes see it, read from API Gateway's event."""

from __future__ import annotations

import base64
import binascii
import codecs
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from lambdas.api import content_coding, multipart
from lambdas.domain.errors import FieldError, InvalidRequest, MalformedBody, UnsupportedMediaType
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.submit_job import Caller

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
FILE = "file"  # the one field of a form that is a file
_JSON_TYPES = ("", "application/json", "application/x-www-form-urlencoded")  # curl -d sends the last


@dataclass(frozen=True, slots=True)
class Call:
    """The request. `headers` have lower-case names; `stage` is the path's prefix outside (`/prod`) or empty."""

    method: str
    path: str
    stage: str
    headers: dict[str, str]
    query: dict[str, list[str]]
    body: bytes
    request_id: str
    identity: dict[str, str]
    deadline: float
    deps: Deps
    base_url: str = ""
    tenant: str = ""
    params: dict[str, str] = field(default_factory=dict)
    payload: Any = None  # the validated body, of the route's type
    filters: Any = None  # the validated query, of the route's type

    @classmethod
    def of(cls, event: dict[str, Any], deps: Deps, deadline: float, base_url: str) -> Call:
        context = event.get("requestContext") or {}
        path = event.get("path") or "/"
        outside = context.get("path") or path
        headers = {k.lower(): v[-1] for k, v in (event.get("multiValueHeaders") or {}).items() if v}
        headers |= {k.lower(): v for k, v in (event.get("headers") or {}).items() if v is not None}
        query = {k: list(v) for k, v in (event.get("multiValueQueryStringParameters") or {}).items()}
        query = query or {k: [v] for k, v in (event.get("queryStringParameters") or {}).items()}
        return cls(
            method=event.get("httpMethod", "GET"),
            path=path.rstrip("/") or "/",  # the same route, and the same request under an Idempotency-Key
            stage=outside.removesuffix(path) if outside.endswith(path) else "",
            headers=headers,
            query=query,
            body=_body(event),
            request_id=context.get("requestId") or "",
            identity={k: str(v) for k, v in (context.get("authorizer") or {}).items() if v is not None},
            deadline=deadline,
            deps=deps,
            base_url=base_url.rstrip("/"),
        )

    @property
    def wants_async(self) -> bool:
        """`Prefer: respond-async` (RFC 7240): preferences are separated by commas, parameters by semicolons."""
        wishes = self.headers.get("prefer", "").lower().split(",")
        return any(wish.split(";")[0].strip() == "respond-async" for wish in wishes)

    def caller(self) -> Caller:
        """Who asks, with the Idempotency-Key and the fingerprint of this request. Raises InvalidRequest."""
        key = self.headers.get("idempotency-key")
        if key is None:
            return Caller(self.tenant, self.request_id)
        if not _KEY.fullmatch(key):
            message = "must be 1 to 255 printable ASCII characters without spaces"
            raise InvalidRequest(f"Idempotency-Key {message}", errors=(FieldError("Idempotency-Key", message),))
        asked = f"{self.method} {self.path}\n{self.payload.model_dump_json()}"
        return Caller(self.tenant, self.request_id, key, hashlib.sha256(asked.encode()).hexdigest())

    def read_body(
        self,
        model: type[BaseModel],
        form: type[BaseModel] | None = None,
        task: type[BaseModel] | None = None,
        *,
        optional: bool = False,
    ) -> BaseModel:
        """The body: JSON, of `task` where it has a field of that name, or a `form` where the route takes one.

        Raises UnsupportedMediaType, MalformedBody or InvalidRequest with each wrong field.
        """
        media_type = self.headers.get("content-type", "").split(";")[0].strip().lower()
        sent = content_coding.decoded(self.body, self.headers.get("content-encoding", ""))
        if form is not None and media_type == multipart.MEDIA_TYPE:
            return self._read_form(form, sent)
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

    def _read_form(self, model: type[BaseModel], sent: bytes) -> BaseModel:
        """A field that is there and empty is as none, since browsers send every field of a form."""
        parts = multipart.read_form(sent, self.headers.get("content-type", ""))
        for name, part in parts.items():
            if part.filename is not None and name not in model.model_fields:
                said = f"unknown field; the photo goes into `{FILE}`"
                raise InvalidRequest(f"{name}: {said}", errors=(FieldError(name, said),))
        values = {
            name: base64.b64encode(part.data).decode() if name == FILE else multipart.text_of(part)
            for name, part in parts.items()
        }
        try:
            return model.model_validate({name: value for name, value in values.items() if value})
        except ValidationError as invalid:
            raise invalid_request(invalid) from None

    def read_query(self, model: type[BaseModel]) -> BaseModel:
        """The query string; of a name given twice the last value counts, and an empty one is as none.

        Raises InvalidRequest.
        """
        try:
            return model.model_validate_strings({k: v[-1] for k, v in self.query.items() if v[-1]})
        except ValidationError as invalid:
            raise invalid_request(invalid) from None


def _names_task(sent: bytes) -> bool:
    try:
        body = from_json(sent)
    except ValueError:
        return False
    return isinstance(body, dict) and "task" in body


def _not_json(problem: Any) -> str:
    """Why and where the parser stopped: line and column (in bytes) count from 1."""
    reason = str(problem["ctx"]["error"])
    if reason.startswith("unexpected end of hex escape"):
        reason = reason.replace("unexpected end of hex escape", "a leading surrogate without its trailing one")
    return f"the body is not valid JSON in UTF-8: {reason}"


def invalid_request(invalid: ValidationError) -> InvalidRequest:
    """Each wrong field by the name the client gave it, and what would be right."""
    found = tuple(
        FieldError(".".join(str(part) for part in problem["loc"]) or "body", _message(problem))
        for problem in invalid.errors(include_url=False, include_input=False)[:20]
    )
    return InvalidRequest("; ".join(f"{f.field}: {f.message}" for f in found)[:1000], errors=found)


def _message(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "unknown field"
    if problem["type"] == "missing":
        return "this field is needed"
    if problem["type"] == "model_type":
        return "must be an object"
    if problem["type"] == "string_pattern_mismatch" and problem["ctx"]["pattern"] == r"\S":
        return "must not be blank"
    return str(problem["msg"]).removeprefix("Value error, ")


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return b""

"""One HTTP request as the routes see it, read from API Gateway's event."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lambdas.domain.errors import FieldError, InvalidRequest
from lambdas.usecases.deps import Deps

if TYPE_CHECKING:
    from pydantic import BaseModel

    from lambdas.domain.jobs.asked import Sending
    from lambdas.usecases.jobs.submit_job import Caller

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_COUNT = re.compile(r"[0-9]{1,3}")


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
    deployed: bool = False
    tenant: str = ""
    params: dict[str, str] = field(default_factory=dict)
    sent: BaseModel | None = None  # the validated body, as a fingerprint needs it; a handler gets it typed
    log: dict[str, object] = field(default_factory=dict)  # what the request's line in the log says of it

    @classmethod
    def of(cls, event: dict[str, Any], deps: Deps, deadline: float, base_url: str, *, deployed: bool = False) -> Call:
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
            deployed=deployed,
        )

    @property
    def wants_async(self) -> bool:
        """`Prefer: respond-async` (RFC 7240): preferences are separated by commas, parameters by semicolons."""
        wishes = self.headers.get("prefer", "").lower().split(",")
        return any(wish.split(";")[0].strip() == "respond-async" for wish in wishes)

    @property
    def origin(self) -> str:
        """What stands before the path outside: BASE_URL, else as this request was addressed.

        The local front serves the API without the stage, which it takes out of headers but not out of bodies.
        """
        if self.base_url:
            return self.base_url
        scheme = "https" if self.headers.get("x-forwarded-proto", "https") == "https" else "http"
        return f"{scheme}://{self.headers.get('host', '')}{self.stage if self.deployed else ''}"

    def caller(self) -> Caller:
        """Who asks, with the Idempotency-Key and the fingerprint of this request. Raises InvalidRequest."""
        from lambdas.usecases.jobs.submit_job import Caller

        key = self.headers.get("idempotency-key")
        if key is None:
            return Caller(self.tenant, self.request_id)
        if not _KEY.fullmatch(key):
            message = "must be 1 to 255 printable ASCII characters without spaces"
            raise InvalidRequest(f"Idempotency-Key {message}", errors=(FieldError("Idempotency-Key", message),))
        return Caller(self.tenant, self.request_id, key, self.fingerprint)

    @property
    def fingerprint(self) -> str:
        """A digest of the route and the validated body, in which files are as their bytes."""
        asked = f"{self.method} {self.path}\n{self.sent.model_dump_json() if self.sent else ''}"
        return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def repetition(self) -> int | None:
        """Which repetition of its request this is, as OpenAI's SDKs count them from 0; `None` where it is not said."""
        said = self.headers.get("x-stainless-retry-count", "")
        return int(said) if _COUNT.fullmatch(said) else None

    def sending(self) -> Sending:
        """This sending of the request, for a route whose clients repeat it without an Idempotency-Key."""
        from lambdas.domain.jobs.asked import Sending

        return Sending(self.fingerprint, self.repetition, uuid.uuid4().hex)


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body).encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return b""

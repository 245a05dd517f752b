"""A client that calls the API in process, with API Gateway's event and answer."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lambdas.api import app
from lambdas.settings import Settings
from lambdas.usecases.deps import Deps
from tests.support.fakes import Fakes


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class AnyClient:
    deps: Deps
    settings: Settings = field(default_factory=Settings)
    identity: dict[str, str] = field(default_factory=lambda: {"tenant": "acme", "auth": "ok"})
    arrived: float | None = None  # when the gateway took the request, in Unix seconds; now, if not said

    def __call__(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        base64_encoded: bool = True,
    ) -> Answer:
        """`body`: bytes as they are, anything else as JSON."""
        parts = urlsplit(url)
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        query = parse_qs(parts.query, keep_blank_values=True)
        event = {
            "resource": "/{proxy+}",
            "path": parts.path,
            "httpMethod": method,
            "headers": sent,
            "multiValueHeaders": {k: [v] for k, v in sent.items()},
            "queryStringParameters": {k: v[-1] for k, v in query.items()} or None,
            "multiValueQueryStringParameters": query or None,
            "requestContext": {
                "requestId": "req-1",
                "requestTimeEpoch": int((self.arrived or self.deps.clock.now()) * 1000),
                "path": f"/prod{parts.path}",
                "authorizer": self.identity,
            },
            "body": base64.b64encode(data).decode() if base64_encoded else data.decode(),
            "isBase64Encoded": base64_encoded,
        }
        got = app.handle(event, 29_000, self.deps, self.settings)
        json.dumps(got)  # as the runtime will
        raw = base64.b64decode(got["body"]) if got["isBase64Encoded"] else got["body"].encode()
        return Answer(got["statusCode"], got["headers"], raw)


@dataclass
class Client(AnyClient):
    deps: Fakes = field(default_factory=Fakes)

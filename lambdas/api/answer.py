"""What a handler gives back."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from pydantic import BaseModel


class GatewayAnswer(TypedDict):
    """The answer of a REST proxy integration."""

    statusCode: int
    headers: dict[str, str]
    body: str
    isBase64Encoded: bool


@dataclass(slots=True)
class Answer:
    """Bytes are sent as they are, a text in UTF-8."""

    status: int
    body: str | bytes = ""
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def to_gateway(self) -> GatewayAnswer:
        headers = ({"Content-Type": self.content_type} if self.content_type else {}) | self.headers
        binary = isinstance(self.body, bytes)
        body = base64.b64encode(self.body).decode() if isinstance(self.body, bytes) else self.body
        return {"statusCode": self.status, "headers": headers, "body": body, "isBase64Encoded": binary}


def json_answer(view: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """A view as the body. A view's names in JSON are its own names."""
    return Answer(status, view.model_dump_json(), "application/json", dict(headers or {}))

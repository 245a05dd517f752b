"""What a route is: everything dispatch, authentication and the OpenAPI document need to know of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel

from lambdas.api.call import Call

Answer = Response[Any]
GENERATING = (400, 409, 410, 413, 415, 422, 500, 502, 503, 504)  # the errors of every route that generates


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `answers` gives the model of each status, or the media type of a file."""

    method: str
    path: str
    summary: str
    handle: Callable[[Call], Answer]
    answers: dict[int, type[BaseModel] | str]
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    errors: tuple[int, ...] = ()
    open: bool = False  # needs no key
    tag: str = "service"
    headers: tuple[str, ...] = field(default=())  # request headers it reads, besides the key
    cost: Callable[[Any], int] = lambda _payload: 1  # how many generating requests it counts as

    @property
    def generates(self) -> bool:
        """Whether it makes images: just these routes take an Idempotency-Key."""
        return "Idempotency-Key" in self.headers


def json_answer(view: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """A view as the body. A view's names in JSON are its own names."""
    return Response(
        status_code=status,
        content_type="application/json",
        body=view.model_dump_json(),
        headers=dict(headers or {}),
    )

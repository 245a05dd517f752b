"""What a route is: everything dispatch, authentication and the OpenAPI document need to know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel

from lambdas.api.call import Call

Answer = Response[Any]
Shape = type[BaseModel] | tuple[type[BaseModel], ...] | str
GENERATING = (400, 409, 410, 413, 415, 422, 500, 502, 503, 504)  # the errors of every route that generates


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path. `answers` gives the model of each status, or one of several, or a file's media type.

    A body with a `task` is one of `task_body`; one of multipart/form-data is one of `form`.
    """

    method: str
    path: str
    summary: str
    handle: Callable[[Call], Answer]
    answers: Mapping[int, Shape]
    body: type[BaseModel] | None = None
    form: type[BaseModel] | None = None
    task_body: type[BaseModel] | None = None
    body_optional: bool = False
    query: type[BaseModel] | None = None
    errors: tuple[int, ...] = ()
    open: bool = False  # needs no key
    keyed: bool = False  # needs one, also where none is required
    tag: str = "service"
    headers: tuple[str, ...] = field(default=())  # request headers it reads, besides the key
    cost: Callable[[Any], int] = lambda _payload: 1  # how many requests it counts as in its tenant's rate
    paid: bool = False  # it may cost money, though it neither generates nor writes

    @property
    def generates(self) -> bool:
        """Whether it makes images: just these routes take an Idempotency-Key."""
        return "Idempotency-Key" in self.headers

    @property
    def counts(self) -> bool:
        """Whether it counts in its tenant's rate: what generates, writes or costs, and nothing that only ends work."""
        return not self.open and (self.method == "POST" or self.paid)


def json_answer(view: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """A view as the body. A view's names in JSON are its own names."""
    return Response(
        status_code=status,
        content_type="application/json",
        body=view.model_dump_json(),
        headers=dict(headers or {}),
    )

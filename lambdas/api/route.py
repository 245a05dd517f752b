"""What a route is: everything dispatch, authentication and the OpenAPI document need to know of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from pydantic import BaseModel

from lambdas.api.answer import Answer
from lambdas.api.call import Call
from lambdas.api.reading import read_body, read_query

Shape = type[BaseModel] | tuple[type[BaseModel] | str, ...] | str
GENERATING = (400, 409, 410, 413, 415, 422, 500, 502, 503, 504)  # the errors of every route that generates

Body = TypeVar("Body", bound=BaseModel)
Query = TypeVar("Query", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Bound:
    """A route with the request it was read for: what is left is to admit it and to run it."""

    call: Call
    run: Callable[[], Answer]
    cost: int = 1  # how many requests it counts as in its tenant's rate


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path. `answers` gives the model of each status, a file's media type, or several of these."""

    method: str
    path: str
    summary: str
    answers: Mapping[int, Shape]
    errors: tuple[int, ...] = ()
    open: bool = False  # needs no key
    keyed: bool = False  # needs one, also where none is required
    tag: str = "service"
    headers: tuple[str, ...] = ()  # request headers it reads, besides the key
    paid: bool = False  # it may cost money, though it neither generates nor writes
    repeatable: bool = False  # its clients repeat a request without an Idempotency-Key, and are to get the same job
    reads: bool = False  # it neither generates nor writes, though it has a body
    linked: bool = False  # a signed link serves in place of a key

    @property
    def generates(self) -> bool:
        """Whether it makes images: just these routes take an Idempotency-Key."""
        return "Idempotency-Key" in self.headers

    @property
    def counts(self) -> bool:
        """Whether it counts in its tenant's rate: what generates, writes or costs, and nothing that only ends work."""
        return not self.open and ((self.method == "POST" and not self.reads) or self.paid)

    def bind(self, call: Call) -> Bound:
        """Read what the handler takes. Raises what reading raises."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class PlainRoute(Route):
    """A route that reads neither body nor query."""

    handle: Callable[[Call], Answer]

    def bind(self, call: Call) -> Bound:
        return Bound(call, partial(self.handle, call))


@dataclass(frozen=True, kw_only=True)
class BodyRoute(Route, Generic[Body]):
    """A route that reads a body. One with a `task` is one of `task_body`; one of multipart/form-data one of `form`."""

    handle: Callable[[Call, Body], Answer]
    body: type[Body]
    form: type[Body] | None = None
    task_body: type[Body] | None = None
    optional: bool = False
    cost: Callable[[Body], int] = lambda _body: 1

    @property
    def bodies(self) -> list[type[Body]]:
        """Every model that its body may be of."""
        return [model for model in (self.body, self.form, self.task_body) if model]

    def bind(self, call: Call) -> Bound:
        body = read_body(call, self.body, self.form, self.task_body, optional=self.optional)
        call = replace(call, sent=body)
        return Bound(call, partial(self.handle, call, body), self.cost(body))


@dataclass(frozen=True, kw_only=True)
class QueryRoute(Route, Generic[Query]):
    """A route that reads a query."""

    handle: Callable[[Call, Query], Answer]
    query: type[Query]
    once: bool = False  # a name that is sent twice is refused; else its last value counts

    def bind(self, call: Call) -> Bound:
        return Bound(call, partial(self.handle, call, read_query(call, self.query, once=self.once)))

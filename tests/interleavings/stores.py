"""The two stores under test, and direct access to their items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from botocore.exceptions import ConnectionClosedError, EndpointConnectionError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.batches import DynamoBatches
from lambdas.adapters.dynamodb.budget import DynamoBooks
from lambdas.adapters.dynamodb.items import plain
from lambdas.adapters.dynamodb.jobs import DynamoJobs, job_of
from lambdas.adapters.dynamodb.outbox import DynamoOutbox, _event
from lambdas.domain.errors import Unavailable
from lambdas.domain.jobs.job import Job
from lambdas.domain.webhooks import Event
from tests.support.budget_model import Books
from tests.support.fakes import FakeBatches, FakeBooks, FakeJobs

Pause = Callable[[str], str | None]


class Store(Protocol):
    jobs: Any
    batches: Any
    outbox: Any
    money: Any  # the port Books

    def rows(self) -> Mapping[str, Job]:
        """The records as they stand, by id."""

    def books(self) -> Mapping[str, Books]:
        """The books of the one tenant, by month."""

    def images(self) -> frozenset[str]:
        """The names of the images that can be found."""

    def events(self) -> Mapping[str, Event]:
        """The outgoing events, by the ids of their jobs."""


class FakeStore:
    """The records in memory. A call is atomic; its thread stops before it."""

    def __init__(self, pause: Pause, faulty: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._real = FakeJobs()
        self.jobs = _Stopping(self._real, faulty)
        self.batches = _Stopping(FakeBatches(self._real), faulty, prefix="batch ")
        self.outbox = _Stopping(self._real.outbox, faulty, prefix="event ")
        self.money = _Stopping(FakeBooks(self._real), faulty, prefix="money ")

    def rows(self) -> Mapping[str, Job]:
        return {job_id: job for (_, job_id), job in self._real.rows.items()}

    def books(self) -> Mapping[str, Books]:
        return {month: books for (_, month), books in self._real.books.items()}

    def images(self) -> frozenset[str]:
        return frozenset(name for _, name in self._real.images)

    def events(self) -> Mapping[str, Event]:
        return {job_id: event for (_, job_id), event in self._real.outbox.rows.items()}


class _Stopping:
    """An object whose methods stop before they do their work."""

    def __init__(self, real: Any, faulty: Callable[[str, Callable[[], Any]], Any], prefix: str = "") -> None:
        self._real = real
        self._faulty = faulty
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        return lambda *args: self._faulty(self._prefix + name, lambda: method(*args))


class DynamoStore:
    """The records in DynamoDB. The thread stops before each call to AWS, of which a method makes one or more."""

    def __init__(self, pause: Pause, faulty: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._backend = dynamodb_backends[DEFAULT_ACCOUNT_ID]["eu-central-1"]
        for table in self._backend.tables.values():
            table.items.clear()
        self.jobs = DynamoJobs("jobs", "images")
        self.batches = DynamoBatches("jobs")
        self.outbox = DynamoOutbox("jobs")
        self.money = DynamoBooks("jobs")
        self._parsed: dict[str, tuple[Any, Job]] = {}
        self._pause = pause
        events = aws.client("dynamodb").meta.events
        events.register("before-call.dynamodb", self._before, unique_id="interleavings-before")
        events.register("after-call.dynamodb", self._after, unique_id="interleavings-after")

    def close(self) -> None:
        events = aws.client("dynamodb").meta.events
        events.unregister("before-call.dynamodb", unique_id="interleavings-before")
        events.unregister("after-call.dynamodb", unique_id="interleavings-after")

    def _before(self, model: Any, params: Any, context: Any, **_: Any) -> None:
        context["fault"] = self._pause(f"aws {model.name}")
        if context["fault"] == "lost":
            raise Unavailable("no answer") from EndpointConnectionError(endpoint_url="https://dynamodb")

    def _after(self, context: Any, **_: Any) -> None:
        if context.get("fault") == "late":
            raise Unavailable("no answer") from ConnectionClosedError(endpoint_url="https://dynamodb")

    def _items(self, table: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for group in self._backend.tables[table].items.values():
            for item in group.values():
                yield item.hash_key.value, item.range_key.value, item.attrs

    def rows(self) -> Mapping[str, Job]:
        rows = {}
        for pk, job_id, attrs in self._items("jobs"):
            if "#" in pk:
                continue
            seen = tuple(attrs[name].value for name in ("doc", "status", "fence", "lease_until"))
            known = self._parsed.get(job_id)
            if known is None or known[0] != seen:
                known = seen, job_of(_values(attrs))
                self._parsed[job_id] = known
            rows[job_id] = known[1]
        return rows

    def books(self) -> Mapping[str, Books]:
        return {
            month: Books(**{c: int(attrs[c].value) for c in Books.__dataclass_fields__ if c in attrs})
            for pk, month, attrs in self._items("jobs")
            if pk.endswith("#budget")
        }

    def images(self) -> frozenset[str]:
        return frozenset(sk for pk, sk, _ in self._items("images") if "#" not in pk)

    def events(self) -> Mapping[str, Event]:
        return {
            job_id: _event(_values(attrs), pk.removesuffix("#webhooks"))
            for pk, job_id, attrs in self._items("jobs")
            if pk.endswith("#webhooks")
        }


def _values(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return plain({name: value.to_json() for name, value in attrs.items()})

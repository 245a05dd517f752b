"""In-memory implementations of the webhook ports, as strict as the real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lambdas.domain.jobs.job import Job
from lambdas.domain.ports.webhooks import EventPage, Reply
from lambdas.domain.webhooks import MAX_DELAY, Event, event_of
from tests.support.recursion import API, Chain


class FakeOutbox:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Event] = {}
        self.marks: dict[tuple[str, str], float] = {}

    def put(self, job: Job) -> None:
        """As Jobs does in the transaction that ends the job."""
        event = event_of(job)
        if event:
            self.rows[event.tenant, event.job_id] = event

    def get(self, tenant: str, job_id: str) -> Event | None:
        return self.rows.get((tenant, job_id))

    def move(self, before: Event, after: Event) -> bool:
        row = self.rows[before.tenant, before.job_id]
        fences = [(e.state, e.attempts, e.due, e.lease_until) for e in (row, before)]
        if fences[0] != fences[1]:
            return False
        self.rows[after.tenant, after.job_id] = after
        return True

    def list(self, tenant: str, state: str | None, limit: int, cursor: str | None) -> EventPage:
        rows = sorted((e for (t, _), e in self.rows.items() if t == tenant), key=lambda e: e.job_id, reverse=True)
        rows = [e for e in rows if state in (None, e.state) and (cursor is None or e.job_id < cursor)]
        return EventPage(rows[:limit], rows[limit - 1].job_id if len(rows) > limit else None)

    def disable(self, tenant: str, url: str, until: float) -> None:
        self.marks[tenant, url] = until

    def enable(self, tenant: str, url: str) -> None:
        self.marks.pop((tenant, url), None)

    def disabled(self, tenant: str, url: str, now: float) -> bool:
        return self.marks.get((tenant, url), 0) > now


@dataclass(frozen=True, order=True)
class Message:
    arrives: float
    tenant: str
    job_id: str
    due: int
    chain: Chain = field(default_factory=lambda: API, compare=False)


class FakeEvents:
    """A queue on the clock of the test. `down`: sending fails."""

    def __init__(self, now: Callable[[], float] = lambda: 0.0) -> None:
        self.now = now
        self.down = False
        self.messages: list[Message] = []
        self.chain: Chain = API  # that whoever sends now stands in

    def send(self, tenant: str, job_id: str, due: int, *, delay: int) -> None:
        assert 0 <= delay <= MAX_DELAY
        assert isinstance(delay, int)
        assert isinstance(due, int)
        if self.down:
            raise ConnectionError("the queue does not answer")
        self.messages.append(Message(self.now() + delay, tenant, job_id, due, self.chain))


@dataclass(frozen=True)
class Post:
    at: float
    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass
class FakeReceiver:
    """Answers as it is told, and keeps what it got."""

    answer: Callable[[float], Reply] = lambda _now: Reply(200)
    now: Callable[[], float] = lambda: 0.0
    posts: list[Post] = field(default_factory=list)

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
        assert timeout <= 15
        self.posts.append(Post(self.now(), url, body, headers))
        return self.answer(self.now())


class FakeSigner:
    def __init__(self) -> None:
        self.known = True

    def signature(self, tenant: str, message_id: str, now: float, body: bytes) -> str | None:
        return f"v1,{tenant}-{message_id}" if self.known else None


class FakeUrls:
    """Refuses what begins with one of these."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.asked: list[str] = []

    def refusal(self, url: str) -> str | None:
        self.asked.append(url)
        return "must be another" if self.refused and url.startswith(self.refused) else None


class FakeWebhookMeter:
    def __init__(self) -> None:
        self.told: list[str] = []

    def webhook_delivered(self) -> None:
        self.told.append("delivered")

    def webhook_failed(self) -> None:
        self.told.append("failed")

    def webhook_exhausted(self) -> None:
        self.told.append("exhausted")

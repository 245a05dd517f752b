"""The ports other than records and providers; each call yields to the scheduler."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lambdas.domain.errors import Unavailable
from lambdas.domain.ports.media import NO_NOTES
from lambdas.domain.ports.webhooks import Reply
from lambdas.domain.routing.health import Health
from tests.interleavings.model import law
from tests.support.fakes import FakeBlobs, FakeSlots
from tests.support.recursion import Chain

if TYPE_CHECKING:
    from tests.interleavings.world import World


@dataclass
class Message:
    """In its queue, or among the dead letters, until it is deleted. `due`: it is about the job's event."""

    job_id: str
    watchdog: bool
    visible_at: float
    due: int | None = None
    chain: Chain = field(default_factory=dict)
    receives: int = 0
    dead: bool = False
    deleted: bool = False


class Calm:
    """Providers' health that always is good: what is rested from is not the matter here."""

    def snapshot(self) -> dict[str, Health]:
        return {}

    def observe(self, *_: Any) -> None: ...

    def claim_probe(self, _provider: str, _now: float) -> bool:
        return True


class Queue:
    """The queue of the workers. Only a watchdog's message raises what went wrong."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, _tenant: str, job_id: str, *, watchdog: bool, delay: int) -> None:
        world = self._world
        try:
            world.through("send", lambda: world.post(Message(job_id, watchdog, world.time + delay)))
        except Unavailable:
            if watchdog:
                raise


class Blobs(FakeBlobs):
    """The bucket. What a job that has ended tells of is not written again."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def put(self, key: str, data: bytes, media_type: str, notes: Mapping[str, str] = NO_NOTES) -> None:
        where = "put raw" if key.startswith("raw/") else "put"
        self._world.through(where, lambda: self._put(key, data, media_type, notes))

    def get(self, key: str) -> bytes | None:
        found: bytes | None = self._world.through("get blob", lambda: self.look(key))
        return found

    def look(self, key: str) -> bytes | None:
        """Past the scheduler."""
        return super().get(key)

    def _put(self, key: str, data: bytes, media_type: str, notes: Mapping[str, str]) -> None:
        told = [job for job in self._world.rows().values() if job.final for image in job.images if image.key == key]
        old = self.look(key)
        with self._world.kept():
            law("a picture that was told stays as it is", not told or old == data, key, old, data)
        super().put(key, data, media_type, notes)


class Clock:
    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> float:
        self._world.pause("now")
        return self._world.time

    def sleep(self, seconds: float) -> None:
        self._world.pause("sleep", self._world.time + seconds)


class Workers:
    """A worker called directly and waited for; nobody calls it again when it dies."""

    def __init__(self, world: World) -> None:
        self._world = world

    def run(self, _tenant: str, job_id: str, timeout: float) -> None:
        world = self._world
        until = world.time + timeout
        world.through("invoke", lambda: None)
        worker = world.work_on(job_id, None)
        while worker.live and world.time < until:
            world.pause("await worker", until, worker)


class Events:
    """The queue of the webhooks function."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send(self, _tenant: str, job_id: str, due: int, *, delay: int) -> None:
        world = self._world
        law("a queue holds back for 15 minutes at the most", 0 <= delay <= 900, delay)
        world.through("send event", lambda: world.post(Message(job_id, False, world.time + delay, due)))


class Receiver:
    """The client's server. `got` are the bodies it took, by webhook-id."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.replies: deque[int] = deque()
        self.got: dict[str, set[str]] = {}

    def post(self, _url: str, body: bytes, headers: Mapping[str, str], _timeout: float) -> Reply:
        self._world.pause("post")
        status = self.replies.popleft() if self.replies else 200
        if status == 200:
            self.got.setdefault(headers["webhook-id"], set()).add(body.decode())
        self._world.pause("reply")
        return Reply(status or None)


class Signer:
    def signature(self, *_: Any) -> str:
        return "v1,"


class Slots(FakeSlots):
    """Room for few at two of the providers."""

    def __init__(self, world: World) -> None:
        super().__init__(gemini=1, leonardo_ai=2)
        self._world = world

    def acquire(self, *args: Any) -> bool:
        self._world.pause("take slot")
        return super().acquire(*args)

    def release(self, *args: Any) -> None:
        self._world.pause("free slot")
        super().release(*args)

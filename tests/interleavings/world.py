"""The environment of the service: processes, queue, clock and bucket under the scheduler's control."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lambdas.domain.errors import JobEnded, JobStarted, NotFound, Unavailable
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import Draft, ImageRequest
from lambdas.domain.limits.budget import Caps
from lambdas.domain.webhooks import Event
from lambdas.usecases.jobs.cancel_job import cancel_job
from lambdas.usecases.jobs.generate import generate
from lambdas.usecases.jobs.handle_message import fail_dead_lettered_job, handle_job_message
from lambdas.usecases.jobs.submit_batch import submit_batch
from lambdas.usecases.jobs.submit_job import Caller
from lambdas.usecases.webhooks.deliver import Delivery, deliver_webhook
from tests.interleavings.model import LawBroken, Model, law
from tests.interleavings.ports import (
    Blobs,
    Calm,
    Clock,
    Events,
    Message,
    Queue,
    Receiver,
    Signer,
    Slots,
    Workers,
)
from tests.interleavings.providers import Ledger
from tests.interleavings.scheduler import Actor, Scheduler
from tests.interleavings.stores import DynamoStore, FakeStore
from tests.support import recursion
from tests.support.fake_events import FakeWebhookMeter
from tests.support.fakes import deps_on_fakes

TENANT: Final = "acme"
API_SECONDS: Final = 29.0
WORKER_SECONDS: Final = 800.0
# How long a function lives. A worker that was frozen may go on after that, which the protocol must bear; its pulse not.
# The webhooks function never outlives the lease of its attempt.
LIFE: Final = {"api": API_SECONDS, "pulse": 900.0, "webhook": 30.0}
VISIBILITY: Final = 90.0
RECEIVES: Final = 5
CAPS: Final = Caps(microusd=400_000, images=7)
START: Final = 1_790_000_000.0


@dataclass
class World:
    """One history. Each act is a step; after each, the model is told what has changed."""

    store_type: type[FakeStore] | type[DynamoStore]
    time: float = START
    messages: list[Message] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    trace: list[str] = field(default_factory=list)
    broken: LawBroken | None = None

    def __post_init__(self) -> None:
        self.scheduler = Scheduler()
        self.model = Model()
        self.store = self.store_type(self.pause, self.through)
        self.blobs = Blobs(self)
        self.receiver = Receiver(self)
        self.ledger = Ledger(self.pause, self._asked)
        self.deps = replace(
            deps_on_fakes(),
            jobs=self.store.jobs,
            batches=self.store.batches,
            blobs=self.blobs,
            queue=Queue(self),
            workers=Workers(self),
            clock=Clock(self),
            providers=self.ledger,
            health=Calm(),
            heartbeat=self._heart,
            books=self.store.money,
            outbox=self.store.outbox,
            events=Events(self),
            slots=Slots(self),
            caps=CAPS,
        )
        self._rows: dict[str, Job] = {}
        self._events: dict[str, Event] = {}

    # what the service's threads call

    def pause(self, label: str, wakes_at: float = 0.0, awaited: Actor | None = None) -> str | None:
        actor = self.scheduler.current()
        return actor.pause(label, wakes_at, awaited) if actor else None

    def through(self, label: str, call: Callable[[], Any]) -> Any:
        fault = self.pause(label)
        if fault == "lost":
            raise Unavailable(label)
        result = call()
        if fault == "late":
            raise Unavailable(label)
        return result

    def post(self, message: Message) -> None:
        """What a function sends goes on with the chain that the function stands in."""
        actor = self.scheduler.current()
        assert actor
        self.messages.append(replace(message, chain=actor.root.notes["chain"]))

    def _asked(self, call: Any) -> None:
        with self.kept():
            self.model.asked(call, self.ledger.calls, self.store.rows())

    @contextmanager
    def kept(self) -> Iterator[None]:
        """A law that is broken in a thread of the service is not swallowed there."""
        try:
            yield
        except LawBroken as broken:
            self.broken = self.broken or broken
            raise

    @contextmanager
    def _heart(self, beat: Callable[[], bool], seconds: float) -> Iterator[None]:
        run = self.scheduler.current()
        assert run

        def beats() -> None:
            while True:
                self.pause("beat", self.time + seconds)
                try:
                    if not beat():
                        return
                except Exception:
                    continue

        pulse = Actor(f"pulse of {run.name}", "pulse", self.time, parent=run)
        self.scheduler.start(pulse, beats)
        try:
            yield
        finally:
            if pulse.at == "beat":  # one in the midst of its write is not waited for
                self.scheduler.kill(pulse)

    # what may happen

    def sleep(self, provider: str, seconds: float) -> None:
        """The provider works for nobody until then; it tells when it is done, so that no worker waits."""
        wakes = self.time + seconds
        self.model.sleeper = self.ledger.sleeper = provider
        self.ledger.awake = lambda: self.time >= wakes

    def submit(self, request: ImageRequest, key: str | None, *, respond_async: bool) -> Actor:
        print_ = f"{request.prompt}|{request.provider}|{request.n}"
        caller = Caller(TENANT, "req", key, print_)

        def work() -> tuple[str, list[str]]:
            deadline = self.time + API_SECONDS - 2
            job, _ = generate(Draft(request), caller, self.deps, respond_async=respond_async, deadline=deadline)
            return job.id, [job.id]

        return self._api("submit", work, key=key, fingerprint=print_)

    def batch(self, requests: Sequence[ImageRequest], key: str | None) -> Actor:
        print_ = "batch" + "".join(f"|{r.prompt}|{r.provider}" for r in requests)

        def work() -> tuple[str, list[str]]:
            batch, jobs, _ = submit_batch([Draft(r) for r in requests], Caller(TENANT, "req", key, print_), self.deps)
            return batch.id, [job.id for job in jobs]

        return self._api("batch", work, key=key, fingerprint=print_, batch=True, at=self.time)

    def cancel(self, job_id: str) -> Actor:
        def work() -> None:
            with suppress(NotFound, JobEnded, JobStarted):
                cancel_job(TENANT, job_id, self.deps)

        return self._api("cancel", work)

    def _api(self, name: str, work: Callable[[], Any], **notes: Any) -> Actor:
        if notes.get("key"):
            self.model.tried.setdefault(notes["key"], set()).add(notes["fingerprint"])
        return self._start(f"{name}-{len(self.scheduler.actors)}", "api", work, chain=recursion.API, **notes)

    def work_on(self, job_id: str, message: Message | None) -> Actor:
        """A worker is given the job; `message` is what it will delete, if it was called by one."""
        watchdog = message is not None and message.watchdog
        dead = message is not None and message.dead

        def work() -> bool:
            if dead:
                return fail_dead_lettered_job(TENANT, job_id, self.deps)
            until, queued = self.time + WORKER_SECONDS, message is not None
            handle_job_message(TENANT, job_id, until, self.deps, watchdog=watchdog, queued=queued)
            return True

        kind = "give_up" if dead else "run"
        chain = recursion.invoked("dead_letter" if dead else "worker", message.chain if message else recursion.API)
        return self._start(f"{kind}-{len(self.scheduler.actors)}", kind, work, message=message, job=job_id, chain=chain)

    def deliver(self, message: Message) -> Actor:
        message.receives += 1
        message.visible_at = self.time + VISIBILITY
        self.seen["delivery"] += 1
        if recursion.invoked("worker" if message.due is None else "webhooks", message.chain) is None:
            self.seen["cut"] += 1
            message.dead = True
        if message.due is not None and message.dead:  # nobody reads these dead letters
            message.deleted = True
            return self._start(f"none-{len(self.scheduler.actors)}", "none", lambda: None)
        if message.due is not None:
            return self.tell(message.job_id, message.due, message)
        message.dead = message.dead or message.receives > RECEIVES
        return self.work_on(message.job_id, message)

    def tell(self, job_id: str, due: int, message: Message) -> Actor:
        """The webhooks function is given a message about the job's event."""
        deps = self.deps
        delivery = Delivery(
            jobs=deps.jobs,
            outbox=deps.outbox,
            events=deps.events,
            receiver=self.receiver,
            signer=Signer(),
            clock=deps.clock,
            meter=FakeWebhookMeter(),
            render=lambda event, job: f"{event.type} {job.status}".encode(),
        )

        def work() -> bool:
            deliver_webhook(TENANT, job_id, due, delivery)
            return True

        chain = recursion.invoked("webhooks", message.chain)
        return self._start(f"webhook-{len(self.scheduler.actors)}", "webhook", work, message=message, chain=chain)

    def _start(self, name: str, kind: str, work: Callable[[], Any], **notes: Any) -> Actor:
        self.seen[kind] += 1
        actor = Actor(name, kind, self.time, notes=notes)
        self.scheduler.start(actor, work)
        self._after(actor)
        return actor

    def step(self, actor: Actor, fault: str | None = None) -> None:
        """One call of it happens; if that is a wait, then the time passes."""
        if not actor.live:
            return
        if self.time > actor.began + LIFE.get(actor.kind, math.inf):
            self.scheduler.kill(actor)
            self._after(actor)
            return
        if actor.awaited is None or actor.awaited.live:
            self.time = max(self.time, actor.wakes_at)
        self.trace.append(f"{actor.name}: {actor.at}{' ' + fault if fault else ''}")
        self.seen["step"] += 1
        if fault:
            self.seen["fault"] += 1
            actor.root.notes["faulted"] = True
        self.scheduler.step(actor, fault)
        self._after(actor)

    def kill(self, actor: Actor) -> None:
        self.trace.append(f"{actor.name}: killed before {actor.at}")
        self.seen["kill"] += 1
        self.scheduler.kill(actor.root)
        self._after(actor.root)

    def _after(self, actor: Actor) -> None:
        if self.broken:
            raise self.broken
        rows = dict(self.store.rows())
        for job_id, job in rows.items():
            before = self._rows.get(job_id)
            if before is not job and before != job:
                if before and job.fence > before.fence > 0:
                    self.seen["takeover"] += 1
                self.model.changed(before, job, actor, self.time)
                if job.final:
                    self.seen[job.status] += 1
                    for image in job.images:
                        law("a picture is stored before it is told", self.blobs.look(image.key), image)
        law("no record is lost", self._rows.keys() <= rows.keys())
        if rows != self._rows:
            self._rows = rows
            self.model.books(rows, self.store.books())
            self.model.events(rows, self.store.events())
        events = dict(self.store.events())
        for job_id, event in self._events.items():
            law("an event that has ended stays as it is", event.state == "pending" or event == events[job_id], event)
        self._events = events
        if actor.over and not actor.notes.get("ended"):
            actor.notes["ended"] = True
            self._ended(actor)

    def _ended(self, actor: Actor) -> None:
        if actor.kind == "pulse" or actor.dead:
            return
        if actor.kind == "api" and "fingerprint" in actor.notes:
            self.model.answered(actor)
            return
        law("no run ends by accident", actor.error is None or actor.notes.get("faulted"), actor.name, repr(actor.error))
        message = actor.notes.get("message")
        if message and actor.error is None and actor.result:
            message.deleted = True

    # how it comes to rest

    def rows(self) -> Mapping[str, Job]:
        return self._rows

    def ready(self, actor: Actor) -> bool:
        """Whether its call can return now."""
        return actor.wakes_at <= self.time or (actor.awaited is not None and actor.awaited.over)

    def drain(self) -> None:
        """Everything that can go on does, fairly, until nothing moves."""
        for _ in range(20_000):
            going = [a for a in self.scheduler.actors if a.live and not a.stalled]
            ready = [a for a in going if self.ready(a)]
            waiting = [m for m in self.messages if not m.deleted]
            if ready:
                for actor in ready:
                    self.step(actor)
            elif due := [m for m in waiting if m.visible_at <= self.time]:
                for message in due:
                    self.deliver(message)
            elif going or waiting:
                self.time = max(self.time, min([*(a.wakes_at for a in going), *(m.visible_at for m in waiting)]))
            else:
                break
        else:
            law("it comes to rest", False, self.messages[-3:])
        self.model.at_rest(self.store.rows(), self.ledger.calls, self.store.images())
        self.model.told(self.store.events(), self.receiver.got)

    def close(self) -> None:
        for actor in self.scheduler.actors:
            self.scheduler.kill(actor)
        if isinstance(self.store, DynamoStore):
            self.store.close()

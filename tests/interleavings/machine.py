"""The state machine for hypothesis: rules choose the next step, and the model has the invariants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from lambdas.domain.jobs.request import ImageRequest
from tests.interleavings.providers import ENDS, LOOKS
from tests.interleavings.scheduler import Actor
from tests.interleavings.stores import DynamoStore, FakeStore
from tests.interleavings.world import World

MAX_JOBS: Final = 6
MAX_ACTORS: Final = 40


def _asks(provider: str, fallback: Sequence[str] = (), n: int = 1, **more: Any) -> ImageRequest:
    return ImageRequest("a fox", provider=provider, fallback=tuple(fallback) or False, n=n, **more)


URL: Final = "https://client.example/hook"
ASKS: Final = {
    "bedrock": _asks("bedrock", webhook_url=URL),
    "bedrock, gemini": _asks("bedrock", ["gemini"]),
    "runware, bedrock": _asks("runware_ai", ["bedrock"]),
    "leonardo, runware, gemini": _asks("leonardo_ai", ["runware_ai", "gemini"]),
    "two of gemini, leonardo": _asks("gemini", ["leonardo_ai"], n=2),
    "two of runware": _asks("runware_ai", n=2, webhook_url=URL),
    "bedrock, cached": _asks("bedrock", seed=7, cache=True, webhook_url=URL),
    "sagemaker, bedrock": _asks("sagemaker", ["bedrock"]),
    "comfyui": _asks("comfyui"),
    "demo": _asks("demo"),
}
PLACES: Final = ("claim", "save", "paint", "submit", "answer", "collect", "put", "finish", "renew", "create", "send")
TELLING: Final = ("post", "reply", "event move", "send event", "event get")
AWS: Final = {
    "event move": "aws PutItem",
    "event get": "aws GetItem",
    "claim": "aws PutItem",
    "save": "aws UpdateItem",
    "finish": "aws TransactWriteItems",
    "renew": "aws UpdateItem",
    "create": "aws TransactWriteItems",
}
picks = st.integers(0, 11)
asks = st.sampled_from(list(ASKS))


class Interleavings(RuleBasedStateMachine):
    """Over one of the stores."""

    store: ClassVar[type[FakeStore] | type[DynamoStore]]
    seen: ClassVar[Counter[str]] = Counter()

    @initialize()
    def begin(self) -> None:
        self.world = World(self.store)
        self.failed = False

    def _pick(self, pick: int, fits: Callable[[Actor], bool] = lambda _: True) -> Actor | None:
        """One of those that could go on, the latest first."""
        going = [a for a in reversed(self.world.scheduler.actors) if a.live and not a.stalled and fits(a)]
        return going[pick % len(going)] if going else None

    def _guarded(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except BaseException:
            self.failed = True  # and so is not brought to rest
            note("\n".join(self.world.trace))
            raise

    def _room(self) -> bool:
        return len(self.world.rows()) < MAX_JOBS and len(self.world.scheduler.actors) < MAX_ACTORS

    @precondition(lambda self: self._room())
    @rule(ask=asks, key=st.sampled_from([None, "k1", "k2"]), waits=st.booleans())
    def submit(self, ask: str, key: str | None, waits: bool) -> None:
        self._guarded(lambda: self.world.submit(ASKS[ask], key, respond_async=not waits))

    @precondition(lambda self: self._room())
    @rule(ask=asks, to_the_end=st.booleans())
    def submit_and_deliver(self, ask: str, to_the_end: bool) -> None:
        """The straight way to a run: its job is there, and so is its message."""

        def act() -> None:
            api = self.world.submit(ASKS[ask], None, respond_async=True)
            self._run(api, 200)
            if api.result:
                run = self.world.work_on(api.result[0], None)
                self._run(run, 200 if to_the_end else 4)

        self._guarded(act)

    @precondition(lambda self: self._room())
    @rule(asked=st.lists(asks, min_size=1, max_size=2), key=st.sampled_from([None, "k1", "k3"]))
    def batch(self, asked: list[str], key: str | None) -> None:
        self._guarded(lambda: self.world.batch([ASKS[ask] for ask in asked], key))

    @rule(pick=picks, count=st.integers(1, 8))
    def step(self, pick: int, count: int) -> None:
        if actor := self._pick(pick):
            self._guarded(lambda: self._run(actor, count))

    @rule(pick=picks, place=st.sampled_from(PLACES))
    def go_to(self, pick: int, place: str) -> None:
        """Up to just before a call of this name."""
        if actor := self._pick(pick):
            self._guarded(lambda: self._run_to(actor, place))

    def _run_to(self, actor: Actor, place: str) -> None:
        names = (place, AWS.get(place, place))
        self._run(actor, 60, lambda: bool(actor.at and actor.at.startswith(names)))

    @rule(pick=picks)
    def to_the_end(self, pick: int) -> None:
        if actor := self._pick(pick):
            self._guarded(lambda: self._run(actor, 200))

    def _run(self, actor: Actor, count: int, there: Callable[[], bool] = lambda: False) -> None:
        for number in range(count):
            if actor.over or (number and there()):
                return
            self.world.step(actor)

    @rule(pick=picks, when=st.sampled_from(["lost", "late"]))
    def fault(self, pick: int, when: str) -> None:
        """The call that it stands before fails, without effect or with it."""
        faulty = ("aws", "create", "used", "get", "claim", "renew", "save", "finish", "cancel", "send", "put", "batch")
        if actor := self._pick(pick, lambda a: bool(a.at and a.at.startswith(faulty))):
            self._guarded(lambda: self.world.step(actor, when))

    @rule(pick=picks)
    def kill(self, pick: int) -> None:
        if actor := self._pick(pick, lambda a: a.kind != "pulse"):
            self._guarded(lambda: self.world.kill(actor))

    @rule(pick=picks, pulse_too=st.booleans())
    def stall(self, pick: int, pulse_too: bool) -> None:
        if actor := self._pick(pick):
            self.world.seen["stall"] += 1
            actor.stalled = True
            for child in actor.children if pulse_too else ():
                child.stalled = True

    @rule(pick=picks, place=st.sampled_from(("claim",) * 8 + PLACES), then=st.sampled_from((None, *PLACES)))
    def overtake(self, pick: int, place: str, then: str | None) -> None:
        """A run's pulse stands still until its lease has passed; another is about to take its job, or has.

        Then the first goes on up to `then`, or it is its pulse that does.
        """
        run = self._pick(pick, lambda a: a.kind == "run")
        if run and len(self.world.scheduler.actors) < MAX_ACTORS:
            for pulse in run.children:
                pulse.stalled = True
            self.world.time += 21
            self._guarded(lambda: self._run_to(self.world.work_on(run.notes["job"], None), place))
            if then == "renew":
                for pulse in run.children:
                    pulse.stalled = False
                    self._guarded(partial(self._run, pulse, 3))
            elif then:
                self._guarded(lambda: self._run_to(run, then))

    @rule(pick=picks)
    def resume(self, pick: int) -> None:
        stalled = [a for a in self.world.scheduler.actors if a.stalled and a.live]
        if stalled:
            stalled[pick % len(stalled)].stalled = False

    @rule(seconds=st.sampled_from([1.0, 6.0, 15.0, 21.0, 31.0, 100.0, 900.0]))
    def advance(self, seconds: float) -> None:
        self.world.time += seconds

    @rule()
    def next_day(self) -> None:
        self.world.time += 86_402

    @rule(pick=picks)
    def beat(self, pick: int) -> None:
        """A lease is renewed."""
        if pulse := self._pick(pick, lambda a: a.kind == "pulse"):
            self._guarded(lambda: self._run(pulse, 3))

    @rule(pick=picks, again=st.booleans())
    def deliver(self, pick: int, again: bool) -> None:
        """A message that is due; or one that was delivered before and is not yet deleted, once more."""
        world = self.world
        waiting = [
            m for m in world.messages if not m.deleted and (m.visible_at <= world.time or (again and m.receives))
        ]
        if waiting and len(world.scheduler.actors) < MAX_ACTORS:
            self._guarded(lambda: world.deliver(waiting[pick % len(waiting)]))

    @rule(pick=picks)
    def give_up(self, pick: int) -> None:
        """A message has failed too often; so it has been due for long."""
        world = self.world
        waiting = [m for m in world.messages if not m.deleted and m.due is None and m.visible_at <= world.time]
        if waiting and len(self.world.scheduler.actors) < MAX_ACTORS:
            message = waiting[pick % len(waiting)]
            message.dead = True
            self._guarded(lambda: self.world.deliver(message))

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        jobs = list(self.world.rows())
        if jobs and len(self.world.scheduler.actors) < MAX_ACTORS:
            self._guarded(lambda: self.world.cancel(jobs[pick % len(jobs)]))

    @rule(
        provider=st.sampled_from(["bedrock", "gemini", "runware_ai", "leonardo_ai"]), end=st.sampled_from(sorted(ENDS))
    )
    def provider_ends(self, provider: str, end: str) -> None:
        """How its next call ends."""
        self.world.ledger.say(provider, end)

    @rule(provider=st.sampled_from(["runware_ai", "leonardo_ai", "comfyui"]), look=st.sampled_from(sorted(LOOKS)))
    def work_goes(self, provider: str, look: str) -> None:
        """What the next look at its work finds."""
        self.world.ledger.say(provider, look)

    @rule(pick=picks, status=st.sampled_from([0, 200, 410, 500]), place=st.sampled_from(TELLING))
    def tell(self, pick: int, status: int, place: str) -> None:
        """The event of a job that has ended is being delivered; the client's server answers so, or (0) not at all."""
        world = self.world
        waiting = [m for m in world.messages if not m.deleted and m.due is not None]
        if waiting and len(world.scheduler.actors) < MAX_ACTORS:
            message = waiting[pick % len(waiting)]
            world.time = max(world.time, message.visible_at)
            world.receiver.replies.append(status)
            self._guarded(lambda: self._run_to(world.deliver(message), place))

    def teardown(self) -> None:
        """All comes to rest, first without the stalled, then with them."""
        if not hasattr(self, "world"):
            return
        try:
            if not self.failed:
                self._guarded(self._rest)
                self._count()
        finally:
            self.world.close()

    def _rest(self) -> None:
        self.world.drain()
        for actor in self.world.scheduler.actors:
            actor.stalled = False
        self.world.drain()

    def _count(self) -> None:
        kinds = type(self).seen
        kinds.update(self.world.seen)
        kinds["history"] += 1
        kinds["charge"] += sum(call.charged for call in self.world.ledger.calls)
        kinds["call"] += len(self.world.ledger.calls)
        kinds["job"] += len(self.world.rows())


class OverFakes(Interleavings):
    store = FakeStore


class OverDynamo(Interleavings):
    store = DynamoStore

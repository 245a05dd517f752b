"""Virtual time: threads of which one runs at a time, and a clock that moves when all of them wait."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from threading import Semaphore, Thread

START = 1_790_000_000.0


class Over(BaseException):
    """Raised in an actor that still waits when the world ends."""


class Actor:
    """A thread that runs only when the world lets it."""

    def __init__(self, world: World, work: Callable[[], None]) -> None:
        self.turn = Semaphore(0)
        self.thread = Thread(target=self._run, args=(world, work), daemon=True)

    def _run(self, world: World, work: Callable[[], None]) -> None:
        self.turn.acquire()
        with suppress(Over):
            if not world.over:
                work()
        world.actors.discard(self)
        world.back.release()


class World:
    """The port Clock, and everything that happens in its time. The order of events is the same in every run."""

    def __init__(self) -> None:
        self.time = START
        self.over = False
        self.back = Semaphore(0)
        self.actors: set[Actor] = set()
        self.running: Actor | None = None
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        me = self._me()
        self.at(self.time + seconds, lambda: self._go_on(me))
        self._wait(me)

    def at(self, when: float, what: Callable[[], None]) -> None:
        """Have `what` done then. It must not sleep."""
        heapq.heappush(self._agenda, (when, next(self._number), what))

    def spawn(self, work: Callable[[], None]) -> None:
        """An actor that begins now."""
        actor = Actor(self, work)
        self.actors.add(actor)
        actor.thread.start()
        self.at(self.time, lambda: self._go_on(actor))

    def park(self) -> Callable[[], None]:
        """What wakes the running actor, which must then call `parked`."""
        me = self._me()
        return lambda: self.at(self.time, lambda: self._go_on(me))

    def parked(self) -> None:
        """Wait to be woken."""
        self._wait(self._me())

    def run(self, seconds: float) -> None:
        """Let that much time pass, and end the world."""
        end = self.time + seconds
        while self._agenda and self._agenda[0][0] <= end:
            self.time, _, what = heapq.heappop(self._agenda)
            what()
        self.time = end
        self.over = True
        for actor in list(self.actors):
            self._go_on(actor)
            actor.thread.join()

    @contextmanager
    def heartbeat(self, beat: Callable[[], bool], seconds: float) -> Iterator[None]:
        """As usecases.heartbeat has it, in this time."""
        beating = [True]

        def again() -> None:
            if beating[0] and beat():
                self.at(self.time + seconds, again)

        self.at(self.time + seconds, again)
        try:
            yield
        finally:
            beating[0] = False

    def _me(self) -> Actor:
        assert self.running, "only an actor can wait"
        return self.running

    def _go_on(self, actor: Actor) -> None:
        self.running = actor
        actor.turn.release()
        self.back.acquire()
        self.running = None

    def _wait(self, me: Actor) -> None:
        if self.over:
            raise Over
        self.back.release()
        me.turn.acquire()
        if self.over:
            raise Over

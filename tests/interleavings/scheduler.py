"""Threads of which one runs at a time: each stops before every external call until it is resumed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TURN_SECONDS = 30.0  # of real time: a turn that takes longer is a deadlock of the test itself


class Killed(BaseException):
    """The process ends here: nothing that it still does has an effect."""


@dataclass(eq=False)
class Actor:
    """One thread. `at` names the call it stands before; `wakes_at` is when that call can return, if it is a wait."""

    name: str
    kind: str  # api, run, give_up, webhook, pulse
    began: float
    parent: Actor | None = None
    at: str | None = None
    wakes_at: float = 0.0
    awaited: Actor | None = None  # whose end also ends the wait
    stalled: bool = False
    dead: bool = False
    over: bool = False
    result: Any = None
    error: Exception | None = None
    notes: dict[str, Any] = field(default_factory=dict)
    children: list[Actor] = field(default_factory=list)
    _fault: str | None = None
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _back: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def root(self) -> Actor:
        """The process it belongs to: a pulse shares that of its run."""
        return self.parent.root if self.parent else self

    @property
    def live(self) -> bool:
        return not self.over

    def pause(self, label: str, wakes_at: float = 0.0, awaited: Actor | None = None) -> str | None:
        """Called by the thread itself, before the call `label`; returns the fault that the call is to have."""
        if self.dead:
            raise Killed
        self.at, self.wakes_at, self.awaited = label, wakes_at, awaited
        self._back.release()
        self._go.acquire()
        self.at, self.wakes_at, self.awaited = None, 0.0, None
        if self.dead:
            raise Killed
        fault, self._fault = self._fault, None
        return fault


class Scheduler:
    """The actors, of which one runs at a time."""

    def __init__(self) -> None:
        self.actors: list[Actor] = []
        self._mine = threading.local()

    def current(self) -> Actor | None:
        """The actor whose thread this is; `None` for the test's own."""
        return getattr(self._mine, "actor", None)

    def start(self, actor: Actor, work: Callable[[], Any]) -> Actor:
        """Let it come to the first call it stands before."""

        def body() -> None:
            self._mine.actor = actor
            try:
                actor.result = work()
            except Killed:
                actor.dead = True
            except Exception as error:
                actor.error = error
            finally:
                actor.over = True
                actor._back.release()

        self.actors.append(actor)
        if actor.parent:
            actor.parent.children.append(actor)
        threading.Thread(target=body, name=actor.name, daemon=True).start()
        self._await(actor)
        return actor

    def step(self, actor: Actor, fault: str | None = None) -> None:
        """Let the call happen, and everything after it up to the next one. `fault`: `lost` or `late`."""
        actor._fault = fault
        actor._go.release()
        self._await(actor)

    def kill(self, actor: Actor) -> None:
        """The process ends where it stands, with its pulse."""
        for one in (actor, *actor.children):
            one.dead = True
            if one.live:
                one._go.release()
                self._await(one)

    def _await(self, actor: Actor) -> None:
        if not actor._back.acquire(timeout=TURN_SECONDS):
            raise RuntimeError(f"{actor.name} does not come to a stop")

"""A forked process that handles one delivery and can be killed at any step."""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace
from typing import Any

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.health import DynamoHealth
from lambdas.domain.ports.providers import TicketProvider
from lambdas.usecases.deps import Deps
from tests.ledger.plan import Kill
from tests.ledger.sleeper import Sleeper
from tests.support import recursion

MAX_SECONDS = 40  # real seconds; a process that takes longer is a failure of the ledger


class Clock:
    """Virtual time, one cell of memory that a lane shares with its processes. Sleeping moves it for all of them."""

    def __init__(self) -> None:
        self._cell = memoryview(mmap.mmap(-1, 8)).cast("d")

    def now(self) -> float:
        self._cell[0] += 0.001
        return self._cell[0]

    time = now

    def sleep(self, seconds: float) -> None:
        self._cell[0] += seconds

    def set(self, now: float) -> None:
        self._cell[0] = now


class Wire:
    """Where this process ends. It counts the steps and the AWS operations that it passes."""

    def __init__(self) -> None:
        self.kill: Kill | None = None
        self.counts: dict[str, int] = {}
        self.chain: recursion.Chain = recursion.API  # that this process stands in

    def through(self, step: str, call: Callable[[], Any]) -> Any:
        self.counts[step] = number = self.counts.get(step, 0) + 1
        self.at(step, "before", number)
        result = call()
        self.at(step, "after", number)
        return result

    def at(self, step: str, when: str, number: int) -> None:
        kill = self.kill
        if kill and (kill.step, kill.when, kill.number) == (step, when, number):
            os.kill(os.getpid(), signal.SIGSTOP if kill.stop else signal.SIGKILL)

    def sending(self, **_: Any) -> None:
        self.counts["operation"] = number = self.counts.get("operation", 0) + 1
        self.at("operation", "before", number)

    def answered(self, **_: Any) -> None:
        self.at("operation", "after", self.counts.get("operation", 0))


class Tapped:
    """A port whose calls pass the wire under the names that `named` gives them; `None` is not named."""

    def __init__(self, port: Any, wire: Wire, named: Callable[..., str | None]) -> None:
        self._port, self._wire, self._named = port, wire, named

    def __getattr__(self, method: str) -> Any:
        call = getattr(self._port, method)
        if not callable(call):
            return call

        def tapped(*args: Any, **kwargs: Any) -> Any:
            step = self._named(method, *args, **kwargs)
            return self._wire.through(step, lambda: call(*args, **kwargs)) if step else call(*args, **kwargs)

        return tapped


class Providers:
    """The port Providers with these alone, one of which may be asleep."""

    def __init__(self, registry: Any, wire: Wire, names: frozenset[str], asleep: Mapping[str, Sleeper]) -> None:
        self._registry, self._wire, self._names, self._asleep = registry, wire, names, asleep

    def configured(self) -> frozenset[str]:
        return self._names

    def get(self, provider_id: str) -> Any:
        if provider_id in self._asleep:
            return self._asleep[provider_id]
        found = self._registry.get(provider_id)
        tapped = Tapped(found, self._wire, lambda method, *_, **__: method)
        if not isinstance(found, TicketProvider):
            return SimpleNamespace(paint=tapped.paint)
        return SimpleNamespace(
            client_chooses_id=found.client_chooses_id,
            notifies_completion=found.notifies_completion,
            submit=tapped.submit,
            collect=tapped.collect,
        )


def tap(
    deps: Deps,
    wire: Wire,
    names: frozenset[str],
    clock: Clock,
    *,
    worker: bool,
    telling: bool,
    asleep: Mapping[str, Sleeper],
) -> Deps:
    """The deployed ports over the emulator, with a virtual clock, and every step of the protocol named."""

    def of_jobs(method: str, *args: Any, **_: Any) -> str | None:
        if method == "save":
            last = args[0].attempts[-1] if args[0].attempts else None
            return "progress" if last and last.outcome == "success" else "ticket" if last and last.ticket else "intent"
        return method if method in ("create", "claim", "release", "finish", "remember", "cancel") else None

    def of_queue(method: str, *_: Any, watchdog: bool = False, **__: Any) -> str | None:
        if method != "send":
            return None
        return ("successor" if worker else "watchdog") if watchdog else "ask"

    def of_blobs(method: str, *args: Any, **_: Any) -> str | None:
        return None if method != "put" else "raw" if args[0].startswith("raw/") else "image"

    def of_outbox(method: str, *args: Any, **_: Any) -> str | None:
        return None if method != "move" else "event claim" if args[1].lease_until else "event row"

    def of_events(*_: Any, **__: Any) -> str | None:
        if telling:  # before its attempt it only puts a message off
            return "event next" if wire.counts.get("event post") else None
        return "announce"

    return replace(
        deps,
        jobs=Tapped(deps.jobs, wire, of_jobs),
        queue=Tapped(deps.queue, wire, of_queue),
        blobs=Tapped(deps.blobs, wire, of_blobs),
        outbox=Tapped(deps.outbox, wire, of_outbox),
        events=Tapped(deps.events, wire, of_events),
        slots=Tapped(deps.slots, wire, lambda method, *_, **__: {"acquire": "take", "release": "free"}[method]),
        batches=Tapped(deps.batches, wire, lambda method, *_, **__: "batch" if method == "create" else None),
        pictures=Tapped(deps.pictures, wire, lambda method, *_, **__: method if method == "fit" else None),
        providers=Providers(deps.providers, wire, names, asleep),
        clock=clock,
        health=DynamoHealth(os.environ["PROVIDERS_TABLE"]),  # a new process remembers nothing
    )


def hook(wire: Wire, clock: Clock) -> list[Any]:
    """Count the operations of all AWS clients made from now on, which are listed in what is returned.

    Messages are sent at once, with the virtual time at which they are due: the lane holds them until then. They go on
    with the chain of invocations that their sender stands in.
    """
    made: list[Any] = []
    real = aws.client

    def due(params: dict[str, Any], **_: Any) -> dict[str, Any]:
        at = {"DataType": "Number", "StringValue": str(clock.now() + params.get("DelaySeconds", 0))}
        chain = {"DataType": "String", "StringValue": json.dumps(wire.chain)}
        return params | {"DelaySeconds": 0, "MessageAttributes": {"due": at, "chain": chain}}

    @cache
    def client(service: str, **limits: Any) -> Any:
        found = real(service, **limits)
        found.meta.events.register("before-send", wire.sending)
        found.meta.events.register("after-call", wire.answered)
        found.meta.events.register("provide-client-params.sqs.SendMessage", due)
        made.append(found)
        return found

    aws.client = client
    return made


@dataclass
class Process:
    """A forked process, and what it told before it ended."""

    pid: int
    told: int
    state: str = "running"  # then stopped, killed, done or broken
    answer: Any = None

    def wait(self) -> str:
        """Until it stops or ends."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            self.state = "stopped"
            return self.state
        with os.fdopen(self.told, "rb") as told:
            text = told.read()
        self.state = "killed" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL else "broken"
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
            self.state, self.answer = "done", json.loads(text)
        if self.state == "broken":
            raise AssertionError(f"a process of the ledger broke ({status}):\n{text.decode()}")
        return self.state

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def end(self, sign: int) -> None:
        """Kill or stop it, unless it has just ended."""
        os.kill(self.pid, sign)


def fork(act: Callable[[], Any]) -> Process:
    """Run `act` in a process of its own; what it returns comes back as JSON."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid:
        os.close(tell)
        return Process(pid, told)
    try:
        signal.alarm(MAX_SECONDS)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.write(tell, json.dumps(act()).encode())
        os._exit(0)
    except BaseException:
        os.write(tell, traceback.format_exc().encode()[-8000:])
        os._exit(1)
    finally:  # never back into the lane's own code
        sys.exit(2)

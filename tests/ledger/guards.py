"""The guards of the protocol; each can be disabled, to show that the ledger notices.

A guard is taken away at a port, at the calls of AWS, or at the one function that is it: the code itself stays as it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lambdas.adapters import aws
from lambdas.adapters.dynamodb import budget, outbox
from lambdas.domain import ids
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs import handle_message
from tests.ledger.plan import KINDS, SHOTS, Case, Kill
from tests.ledger.process import Wire

_settle, _put = budget.settle, outbox.put


class Without:
    """A port, but for some of its methods."""

    def __init__(self, port: Any, **methods: Callable[..., Any]) -> None:
        self._port = port
        self.__dict__ |= methods

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


def _intent(deps: Deps, _wire: Wire) -> Deps:
    def save(job: Any) -> bool:
        begun = job.attempts and job.attempts[-1].outcome == "unknown" and not job.attempts[-1].ticket
        return True if begun else deps.jobs.save(job)

    return replace(deps, jobs=Without(deps.jobs, save=save))


def _ticket(deps: Deps, _wire: Wire) -> Deps:
    def save(job: Any) -> bool:
        handed_in = job.attempts[-1].outcome == "unknown" and job.attempts[-1].ticket
        return True if handed_in else deps.jobs.save(job)

    return replace(deps, jobs=Without(deps.jobs, save=save))


def _raw(deps: Deps, _wire: Wire) -> Deps:
    def put(key: str, *more: Any, **notes: Any) -> None:
        if not key.startswith("raw/"):
            deps.blobs.put(key, *more, **notes)

    return replace(deps, blobs=Without(deps.blobs, put=put))


def _call_id(deps: Deps, _wire: Wire) -> Deps:
    ids.call_id = lambda *_: str(uuid.uuid4())
    return deps


def _watchdog(deps: Deps, wire: Wire) -> Deps:
    """The watchdog's message comes after the record."""
    held: list[tuple[Any, Any]] = []

    def send(*args: Any, **kwargs: Any) -> None:
        if kwargs.get("watchdog"):
            held.append((args, kwargs))
        else:
            deps.queue.send(*args, **kwargs)

    def create(*args: Any, **kwargs: Any) -> Any:
        earlier = deps.jobs.create(*args, **kwargs)
        for at, more in held:
            deps.queue.send(*at, **more)
        held.clear()
        return earlier

    return replace(deps, queue=Without(deps.queue, send=send), jobs=Without(deps.jobs, create=create))


def _settlement(deps: Deps, _wire: Wire) -> Deps:
    """The money is booked after the transaction that ends the job."""
    budget.settle = lambda table, job: []

    def finish(job: Any) -> bool:
        done = deps.jobs.finish(job)
        for part in _settle("jobs", job) if done else ():
            aws.client("dynamodb").update_item(**part["Update"])
        return done

    return replace(deps, jobs=Without(deps.jobs, finish=finish))


def _event(deps: Deps, _wire: Wire) -> Deps:
    """The event is written after the transaction that ends the job."""
    outbox.put = lambda table, job: []

    def finish(job: Any) -> bool:
        done = deps.jobs.finish(job)
        for part in _put("jobs", job) if done else ():
            aws.client("dynamodb").put_item(**part["Put"])
        return done

    return replace(deps, jobs=Without(deps.jobs, finish=finish))


def _hand_over(deps: Deps, _wire: Wire) -> Deps:
    """The watchdog lets a job that has ended go, whatever became of its event."""
    handle_message.announce_undelivered = lambda *_: None  # type: ignore[attr-defined]
    return deps


def _next(deps: Deps, wire: Wire) -> Deps:
    """After an attempt that failed, the message of the next one is sent when the event's row is written."""
    held: list[tuple[Any, Any]] = []

    def send(*args: Any, **kwargs: Any) -> None:
        if wire.counts.get("event post"):
            held.append((args, kwargs))
        else:
            deps.events.send(*args, **kwargs)

    def move(*args: Any) -> bool:
        moved = deps.outbox.move(*args)
        for at, more in held:
            deps.events.send(*at, **more)
        held.clear()
        return moved

    return replace(deps, events=Without(deps.events, send=send), outbox=Without(deps.outbox, move=move))


def _round(deps: Deps, _wire: Wire) -> Deps:
    """No function may stand in a chain more often than Lambda's own guard lets it: see Lane."""
    return deps


def _key(deps: Deps, _wire: Wire) -> Deps:
    """No row of an Idempotency-Key is written."""

    def create(job: Any, _key: Any, *caps: Any) -> Any:
        return deps.jobs.create(job, None, *caps)

    return replace(deps, jobs=Without(deps.jobs, create=create))


def _lease(deps: Deps, _wire: Wire) -> Deps:
    """A job that another run works on is taken like a free one."""

    def claim(tenant: str, job_id: str, now: float, lease_until: float) -> Any:
        return deps.jobs.claim(tenant, job_id, now + 1e6, lease_until)

    return replace(deps, jobs=Without(deps.jobs, claim=claim))


def _fence(deps: Deps, _wire: Wire) -> Deps:
    def unfenced(params: dict[str, Any], **_: Any) -> dict[str, Any]:
        if "TransactItems" in params:
            items = [{verb: _open(part) for verb, part in item.items()} for item in params["TransactItems"]]
            return params | {"TransactItems": items}
        return _open(params)

    aws.client("dynamodb").meta.events.register("provide-client-params.dynamodb", unfenced)
    return deps


def _open(params: dict[str, Any]) -> dict[str, Any]:
    condition = params.get("ConditionExpression", "")
    if " AND fence = :fence" not in condition:
        return params
    values = {name: value for name, value in params["ExpressionAttributeValues"].items() if name != ":fence"}
    return params | {
        "ConditionExpression": condition.replace(" AND fence = :fence", ""),
        "ExpressionAttributeValues": values,
    }


@dataclass(frozen=True)
class Guard:
    """How to take it away, and a few cases whose books are then wrong in this `column`."""

    taken: Callable[[Deps, Wire], Deps]
    column: str
    cases: tuple[Case, ...]


def _killed(kind: str, step: str, when: str = "after", **more: Any) -> Case:
    return Case(0, kind, "guard", kills=(Kill(step, when),), **more)


def _submitted(kind: str, step: str) -> Case:
    return Case(0, kind, "guard", first=Kill(step, "after"))


_TICKETS = ("runware_ai", "leonardo_ai")
_PAID = (*SHOTS, *_TICKETS)
_SLOW = (Kill("paint", stop=True, brief=True),)
_OVERTAKEN = (Kill("intent", stop=True), Kill("fit", stop=True))
GUARDS: dict[str, Guard] = {
    "intent": Guard(_intent, "doubles", tuple(_killed(kind, "paint") for kind in SHOTS)),
    "ticket": Guard(_ticket, "needless", (_killed("leonardo_ai", "ticket"), _killed("leonardo_ai", "collect"))),
    "raw": Guard(_raw, "needless", tuple(_killed(kind, "fit", "before") for kind in SHOTS)),
    "call-id": Guard(_call_id, "needless", (_killed("runware_ai", "submit"),)),
    "watchdog": Guard(_watchdog, "unfinished", tuple(_submitted(kind, "create") for kind in _PAID)),
    "settlement": Guard(_settlement, "books", tuple(_killed(kind, "finish") for kind in _PAID)),
    "event": Guard(_event, "untold", tuple(_killed(kind, "finish", hook="ok") for kind in KINDS)),
    "hand-over": Guard(_hand_over, "untold", tuple(_killed(kind, "finish", hook="ok") for kind in KINDS)),
    "next": Guard(_next, "untold", (Case(0, "demo", "guard", hook="late-1", tells=(Kill("event row", "after"),)),)),
    "round": Guard(_round, "needless", (Case(0, "sagemaker", "guard", wakes=14 * 60.0),)),
    "key": Guard(_key, "twice", tuple(Case(0, kind, "guard", again=True) for kind in _PAID)),
    "lease": Guard(_lease, "needless", tuple(Case(0, kind, "guard", kills=_SLOW) for kind in SHOTS)),
    "fence": Guard(_fence, "doubles", tuple(Case(0, kind, "guard", kills=_OVERTAKEN) for kind in SHOTS)),
}


def without(guard: str, deps: Deps, wire: Wire) -> Deps:
    """The ports with that guard taken away."""
    return GUARDS[guard].taken(deps, wire)

"""Imports and creates what a lane's processes need, once before they are forked."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from tests.ledger import acts
from tests.ledger.plan import BEGINNING, DEMO, KINDS, Case
from tests.ledger.process import hook
from tests.ledger.receiver import secret_of

if TYPE_CHECKING:
    from tests.ledger.lane import Lane


def warm(lane: Lane) -> None:
    """Import and make everything that a process would need, then let go of all connections."""
    made = hook(lane.wire, lane.clock)
    lane.clock.set(BEGINNING)
    nobody = lane.warm_tenant
    for tenant in (nobody, *lane.tenants):
        keys = {"pk": {"S": f"{tenant}#webhook"}, "sk": {"S": "secret"}}
        lane.db.put_item(TableName="keys", Item={**keys, "secret": {"S": secret_of(tenant)}})
    for number, kind in enumerate(KINDS):
        case = Case(900_000 + number, kind, "warm", sync=kind == DEMO, hook="ok")
        deps = lane.deps(case, worker=True)
        acts.submitting(case, nobody, f"{lane.hooks}/{nobody}", deps)()
        lane.mail.take()
        acts.handling(lane.mail.waiting[-1].body, deps, lane.clock, dead=False)()
        lane.events.take()
        acts.informing(lane.events.waiting[-1].body, lane.deps(case, worker=True, telling=True), lane.wire)()
        lane.mail.waiting.clear()
        lane.events.waiting.clear()
        lane.wire.counts.clear()
    registry: Any = acts.live().providers
    made += [c for _, p in registry._made.values() if hasattr(p, "_clients") for c in p._clients.made.values()]
    for client in made:
        client._endpoint.http_session.close()
    gc.collect()
    gc.freeze()

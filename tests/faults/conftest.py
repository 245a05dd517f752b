"""Fixtures: AWS in process with faults on demand; each test has its own tenant."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from lambdas import wiring
from lambdas.handlers import webhooks, worker
from lambdas.settings import Settings
from tests.adapters.conftest import aws_in_process
from tests.faults import injector as faults
from tests.faults.flow import Flow
from tests.faults.injector import Injector
from tests.faults.world import World, open_world, table_of

TABLES = ("images", "jobs", "keys", "projects", "providers")
_tenants = itertools.count(1)


@pytest.fixture(scope="module")
def injector() -> Iterator[Injector]:
    with aws_in_process(), pytest.MonkeyPatch.context() as patch:
        made = Injector()
        faults.install(patch, made)
        yield made


@pytest.fixture
def world_of(injector: Injector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Flow], World]]:
    """Opens the world of a flow, prepared."""

    def opened(flow: Flow) -> World:
        world = open_world(f"t{next(_tenants)}", injector, *flow.providers, limited=flow.limited)
        monkeypatch.setattr(wiring, "live", lambda: world.deps)
        monkeypatch.setattr(wiring, "settings", Settings)
        monkeypatch.setattr(webhooks, "_delivery", lambda: world.delivery)
        monkeypatch.setattr(worker, "time", SimpleNamespace(time=world.clock.now))
        monkeypatch.setattr("lambdas.usecases.jobs.submit_batch.WRITERS", 1)  # so that the calls have one order
        flow.prepare(world)
        return world

    yield opened
    for table in TABLES:
        table_of(table).items.clear()  # the emulation copies its tables at every transaction

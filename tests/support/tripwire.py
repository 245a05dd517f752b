"""Ports at which a run can be killed: real providers, and the others in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar

from lambdas.adapters.images.pictures import PillowPictures
from lambdas.domain.jobs.job import Job
from lambdas.domain.ports.media import NO_NOTES
from lambdas.domain.ports.providers import TicketProvider
from lambdas.usecases.deps import Deps
from tests.support.fakes import FakeBlobs, FakeClock, FakeJobs
from tests.support.real_providers import Deployment

T = TypeVar("T")


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Tripwire:
    """Ports whose calls are named and counted. `kill` says of each, before and after it, whether the run ends there."""

    kill: Callable[[str, str, int], bool] = lambda _name, _when, _number: False
    counts: dict[str, int] = field(default_factory=dict)

    def through(self, name: str, call: Callable[[], T]) -> T:
        self.counts[name] = self.counts.get(name, 0) + 1
        self.pass_by(name, "before")
        result = call()
        self.pass_by(name, "after")
        return result

    def pass_by(self, name: str, when: str) -> None:
        if self.kill(name, when, self.counts[name]):
            raise Killed(name, when)

    def deps(self, house: Deployment, names: tuple[str, ...]) -> Deps:
        ports = {"jobs": Jobs(self), "blobs": Blobs(self), "pictures": Pictures(self), "clock": FakeClock()}
        return house.deps(**ports, providers=Providers(self, house, names))


class Jobs(FakeJobs):
    def __init__(self, wire: Tripwire) -> None:
        super().__init__()
        self._wire = wire

    def claim(self, tenant: str, job_id: str, now: float, lease_until: float) -> Job | None:
        return self._wire.through("claim", lambda: FakeJobs.claim(self, tenant, job_id, now, lease_until))

    def save(self, job: Job) -> bool:
        last = job.attempts[-1]
        name = "progress" if last.outcome == "success" else "ticket" if last.ticket else "intent"
        return self._wire.through(name, lambda: FakeJobs.save(self, job))

    def finish(self, job: Job) -> bool:
        return self._wire.through("finish", lambda: FakeJobs.finish(self, job))


class Blobs(FakeBlobs):
    def __init__(self, wire: Tripwire) -> None:
        super().__init__()
        self._wire = wire

    def put(self, key: str, data: bytes, media_type: str, notes: Mapping[str, str] = NO_NOTES) -> None:
        name = "raw" if key.startswith("raw/") else "image"
        self._wire.through(name, lambda: FakeBlobs.put(self, key, data, media_type, notes))


class Pictures(PillowPictures):
    def __init__(self, wire: Tripwire) -> None:
        self._wire = wire

    def fit(self, *args: Any) -> Any:
        return self._wire.through("fit", lambda: PillowPictures.fit(self, *args))


class Providers:
    """The port Providers with these of the house."""

    def __init__(self, wire: Tripwire, house: Deployment, names: tuple[str, ...]) -> None:
        self._names = names
        self._all = {name: _wired(wire, house.registry.get(name)) for name in names}

    def configured(self) -> frozenset[str]:
        return frozenset(self._names)

    def get(self, provider_id: str) -> Any:
        return self._all[provider_id]


def _wired(wire: Tripwire, provider: Any) -> Any:
    def call(name: str) -> Callable[..., Any]:
        return lambda *args: wire.through(name, lambda: getattr(provider, name)(*args))

    if isinstance(provider, TicketProvider):
        chooses = provider.client_chooses_id
        return SimpleNamespace(
            client_chooses_id=chooses, notifies_completion=False, submit=call("submit"), collect=call("collect")
        )
    return SimpleNamespace(paint=call("paint"))

"""A tenant with nearly all of the load and a quiet one, through the real use cases in virtual time."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from lambdas.domain.errors import Overloaded
from lambdas.domain.jobs.job import COMPLETED, QUEUED
from lambdas.domain.jobs.request import Draft, GeneratedImage, ImageRequest, ImageTask
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.generate import generate
from lambdas.usecases.jobs.handle_message import handle_job_message
from lambdas.usecases.jobs.submit_job import Caller
from tests.support.fair_queue import FairQueue
from tests.support.fakes import FakeJobs, FakeProviders, FakeSlots, deps_on_fakes
from tests.support.virtual_time import World

GREEDY, QUIET = "greedy", "quiet"
WORKER_SECONDS = 800.0


@dataclass(frozen=True)
class Scene:
    """Requests in a second by tenant, at one provider whose images take `seconds`, for `minutes`."""

    rates: dict[str, float]
    workers: int = 20
    provider: str = "bedrock"
    cap: int = 0  # of the provider
    seconds: float = 8.0
    minutes: float = 30.0
    fair: bool = True  # whether the queue is
    max_queue_seconds: float = 0.0
    seed: int = 1

    def alone(self, tenant: str) -> Scene:
        """The same without the others."""
        return replace(self, rates={tenant: self.rates[tenant]})


@dataclass
class Outcome:
    """What tenants saw: seconds until their jobs were begun, or as long as they had waited at the end."""

    waits: dict[str, list[float]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    released: int = 0
    completed: int = 0
    most_at_once: int = 0  # calls at the provider
    most_held: Counter[str] = field(default_factory=Counter)  # slots, by tenant

    def wait(self, tenant: str, quantile: float = 0.95) -> float:
        waits = sorted(self.waits[tenant])
        return waits[min(int(quantile * len(waits)), len(waits) - 1)]


class SimProvider:
    """Takes its time, and counts who is there at once."""

    def __init__(self, world: World, seconds: float, rng: random.Random, outcome: Outcome) -> None:
        self._world, self._seconds, self._rng, self._outcome = world, seconds, rng, outcome
        self._inside = 0

    def paint(self, order: ImageTask, timeout: float) -> GeneratedImage:
        self._inside += 1
        self._outcome.most_at_once = max(self._outcome.most_at_once, self._inside)
        try:
            self._world.sleep(self._seconds * math.exp(self._rng.gauss(0, 0.25)))
        finally:
            self._inside -= 1
        return GeneratedImage(b"%dx%d:x" % order.generate)


class SimSlots(FakeSlots):
    """Notes how much each tenant held."""

    def __init__(self, outcome: Outcome, **caps: int) -> None:
        super().__init__(**caps)
        self._outcome = outcome

    def acquire(self, provider: str, call: str, tenant: str, now: float, until: float) -> bool:
        got = super().acquire(provider, call, tenant, now, until)
        held = Counter(slot.tenant for slot in self.held.get(provider, {}).values() if slot.until > now)
        self._outcome.most_held |= held
        return got


class SimBacklog:
    """The port Backlog as the adapter keeps it: some seconds old."""

    def __init__(self, world: World, queue: FairQueue, jobs: FakeJobs) -> None:
        self._world, self._queue, self._jobs = world, queue, jobs
        self._read: dict[str, tuple[float, int]] = {}

    def waiting(self) -> int:
        return self._old("", self._queue.waiting)

    def queued(self, tenant: str, most: int) -> int:
        def number() -> int:
            return sum(job.tenant == tenant and job.status == QUEUED for job in self._jobs.rows.values())

        return min(most, self._old(tenant, number))

    def _old(self, name: str, read: Callable[[], int]) -> int:
        when, value = self._read.get(name, (0.0, 0))
        if self._world.now() - when >= 2:
            value = read()
            self._read[name] = (self._world.now(), value)
        return value


def play(scene: Scene) -> Outcome:
    """Let the scene pass; the same scene passes in the same way every time."""
    random.seed(scene.seed)  # the use cases draw from it, one at a time
    rng = random.Random(scene.seed)
    world, outcome, jobs = World(), Outcome(), FakeJobs()
    queue = FairQueue(world, fair=scene.fair)
    deps = replace(
        deps_on_fakes(),
        clock=world,
        jobs=jobs,
        queue=queue,
        heartbeat=world.heartbeat,
        providers=FakeProviders(**{scene.provider: SimProvider(world, scene.seconds, rng, outcome)}),
        slots=SimSlots(outcome, **({scene.provider: scene.cap} if scene.cap else {})),
        backlog=SimBacklog(world, queue, jobs),
        max_queue_seconds=scene.max_queue_seconds,
        worker_concurrency=scene.workers,
    )

    def worker() -> None:
        while True:
            message = queue.receive()
            deadline = world.now() + WORKER_SECONDS
            handle_job_message(message.tenant, message.job_id, deadline, deps, watchdog=message.watchdog)
            queue.delete(message)

    for _ in range(scene.workers):
        world.spawn(worker)
    for tenant in sorted(scene.rates):
        drawn = random.Random(f"{scene.seed} {tenant}")
        world.spawn(lambda tenant=tenant, drawn=drawn: _client(tenant, scene, drawn, deps, outcome))  # type: ignore[misc]
    world.run(scene.minutes * 60)
    for job in jobs.rows.values():
        began = job.attempts[0].started_at if job.attempts else world.now()
        outcome.waits.setdefault(job.tenant, []).append(began - job.created_at)
        outcome.released += job.released
        outcome.completed += job.status == COMPLETED
    return outcome


def _client(tenant: str, scene: Scene, rng: random.Random, deps: Deps, outcome: Outcome) -> None:
    """Asks at random moments, and goes away when told to."""
    while True:
        deps.clock.sleep(rng.expovariate(scene.rates[tenant]))
        draft = Draft(ImageRequest("a fox", fallback=False, provider=scene.provider))
        try:
            generate(draft, Caller(tenant, "r"), deps, respond_async=True, deadline=deps.clock.now() + 25)
        except Overloaded:
            outcome.refused[tenant] += 1
        else:
            outcome.accepted[tenant] += 1


def crowd(workers: int, seconds: float = 8.0, load: float = 1.5, greedy: float = 0.9) -> dict[str, float]:
    """Rates that ask for `load` times what the workers can do, `greedy` of it by one tenant."""
    total = load * workers / seconds
    return {GREEDY: total * greedy, QUIET: total * (1 - greedy)}

"""In-memory implementations of the ports, as strict as the real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lambdas.adapters.images.compositing import PillowCompositor
from lambdas.domain import analytics, ids, metrics
from lambdas.domain.catalogue.model_card import Size
from lambdas.domain.delivery import Recipe
from lambdas.domain.errors import UnsupportedMediaType
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.asked import Asked
from lambdas.domain.jobs.job import (
    CANCELLED,
    QUEUED,
    RUNNING,
    Batch,
    Idempotency,
    Job,
    JobFilter,
    RecordExists,
    StoredImage,
)
from lambdas.domain.jobs.request import GeneratedImage, ImageTask
from lambdas.domain.limits import budget, rate, slots
from lambdas.domain.limits.budget import NO_CAPS, Caps, Committed
from lambdas.domain.limits.slots import Slot
from lambdas.domain.links import LinkKey, new_link_key
from lambdas.domain.ports.jobs import Page
from lambdas.domain.ports.media import NO_NOTES, Compositor, Pictures
from lambdas.domain.ports.metrics import Counted, Counters, Figures, GpuModel
from lambdas.domain.ports.providers import Provider, Providers, TicketProvider
from lambdas.domain.ports.webhooks import WebhookUrls
from lambdas.domain.projects import Counts, Project
from lambdas.domain.routing.health import Health, Seen, may_call, observed, probing
from lambdas.usecases.deps import Deps
from tests.support.budget_model import Books
from tests.support.fake_events import FakeEvents, FakeOutbox, FakeUrls
from tests.support.recursion import API, Chain


class FakeClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


class FakeJobs:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Job] = {}
        self.images: dict[tuple[str, str], StoredImage] = {}
        self.keys: dict[tuple[str, str], Idempotency] = {}
        self.askings: dict[tuple[str, str], Asked] = {}
        self.saved: list[Job] = []
        self.cache: dict[tuple[str, str], str] = {}
        self.books: dict[tuple[str, str], Books] = {}
        self.outbox = FakeOutbox()
        self.sums: dict[tuple[str, analytics.Key], Counter[str]] = {}

    def add(self, tenant: str, rows: Mapping[analytics.Key, analytics.Columns]) -> None:
        for key, columns in rows.items():
            self.sums.setdefault((tenant, key), Counter()).update(columns)

    def create(
        self, job: Job, idempotency: Idempotency | None, caps: Caps = NO_CAPS, asked: Asked | None = None
    ) -> Idempotency | None:
        known = idempotency and self.keys.get((idempotency.tenant, idempotency.key))
        if known and known.expires_at >= job.created_at:
            return known
        if (job.tenant, job.id) in self.rows:
            raise RecordExists
        if not self.of_month(job).reserve(job, caps):
            raise budget.exceeded(caps, job.created_at)
        if idempotency:
            self.keys[idempotency.tenant, idempotency.key] = idempotency
        if asked:
            self.askings[asked.tenant, asked.job_id] = asked
        self.rows[job.tenant, job.id] = job
        self.outbox.put(job)
        if job.final:
            self.add(job.tenant, analytics.of_job(job))
        return None

    def asked(self, tenant: str, fingerprint: str, now: float) -> list[Asked]:
        rows = (row for (whose, _), row in self.askings.items() if whose == tenant and row.fingerprint == fingerprint)
        return [row for row in rows if row.expires_at >= now]

    def retake(self, seen: Asked, new: Asked) -> bool:
        found = self.askings.get((seen.tenant, seen.job_id))
        if found is None or (found.holder, found.number, found.state) != (seen.holder, seen.number, seen.state):
            return False
        self.askings[new.tenant, new.job_id] = new
        return True

    def used(self, tenant: str, key: str, now: float) -> Idempotency | None:
        known = self.keys.get((tenant, key))
        return known if known and known.expires_at >= now else None

    def get(self, tenant: str, job_id: str) -> Job | None:
        job = self.rows.get((tenant, job_id))
        if job and job.cached:  # of another job's images, those that are there
            job = replace(job, images=tuple(i for i in job.images if (tenant, i.name) in self.images))
        return job

    def claim(self, tenant: str, job_id: str, now: float, lease_until: float) -> Job | None:
        job = self.get(tenant, job_id)
        if job is None or job.final or (job.status == RUNNING and job.lease_until >= now):
            return None
        claimed = replace(
            job, status=RUNNING, fence=job.fence + 1, lease_until=lease_until, started_at=job.started_at or now
        )
        self.rows[tenant, job_id] = claimed
        return claimed

    def _mine(self, job: Job) -> Job | None:
        row = self.rows[job.tenant, job.id]
        return row if row.status == RUNNING and row.fence == job.fence else None

    def renew(self, job: Job, lease_until: float) -> bool:
        row = self._mine(job)
        if row:
            self.rows[job.tenant, job.id] = replace(row, lease_until=lease_until)
        return row is not None

    def save(self, job: Job) -> bool:
        row = self._mine(job)
        if row:
            self.rows[job.tenant, job.id] = replace(job, lease_until=row.lease_until)
            self.saved.append(job)
        return row is not None

    def release(self, job: Job) -> bool:
        assert not job.begun or job.attempts[-1].ticket
        if self._mine(job) is None:
            return False
        self.rows[job.tenant, job.id] = job.given_back()
        return True

    def finish(self, job: Job) -> bool:
        assert job.final
        if self._mine(job) is None:
            return False
        self.rows[job.tenant, job.id] = job
        self.of_month(job).settle(job)
        self.outbox.put(job)
        self.images |= {(job.tenant, image.name): image for image in job.images}
        self.add(job.tenant, analytics.of_job(job))
        return True

    def cancel(self, tenant: str, job_id: str, now: float) -> bool:
        job = self.get(tenant, job_id)
        if job is None or job.status != QUEUED:
            return False
        self.rows[tenant, job_id] = cancelled = replace(job, status=CANCELLED, finished_at=now)
        self.of_month(job).settle(cancelled)
        self.outbox.put(cancelled)
        self.add(tenant, analytics.of_job(cancelled))
        return True

    def of_month(self, job: Job) -> Books:
        return self.books.setdefault((job.tenant, budget.month(job.created_at)), Books())

    def list(self, tenant: str, where: JobFilter, limit: int, cursor: str | None) -> Page:
        jobs = sorted((j for (t, _), j in self.rows.items() if t == tenant), key=lambda j: j.id, reverse=True)
        jobs = [j for j in jobs if _meets(j, where) and (cursor is None or j.id < cursor)]
        return Page(jobs[:limit], jobs[limit - 1].id if len(jobs) > limit else None)

    def remember(self, job: Job) -> None:
        self.cache[job.tenant, job.cache_key or ""] = job.id

    def recall(self, tenant: str, cache_key: str) -> Job | None:
        job = self.get(tenant, self.cache.get((tenant, cache_key), ""))
        return job if job and len(job.images) == job.request.n else None

    def find_image(self, tenant: str, name: str) -> StoredImage | None:
        return self.images.get((tenant, name))

    def drop_image(self, tenant: str, image: StoredImage) -> bool:
        owner = self.rows.get((tenant, image.job_id))
        if owner is None or image not in owner.images:
            return False
        del self.images[tenant, image.name]
        self.add(tenant, analytics.of_deletion(image, owner.created_at))
        self.rows[tenant, owner.id] = replace(owner, images=tuple(i for i in owner.images if i != image))
        return True


def _meets(job: Job, where: JobFilter) -> bool:
    wanted = ((where.project_id, job.request.project_id), (where.status, job.status), (where.provider, job.provider))
    after = where.since is None or job.id >= ids.job_id_at(where.since)
    before = where.until is None or job.id <= ids.job_id_at(where.until, end=True)
    return all(name in (None, has) for name, has in wanted) and after and before


class FakeBlobs:
    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, str]] = {}
        self.notes: dict[str, Mapping[str, str]] = {}

    def put(self, key: str, data: bytes, media_type: str, notes: Mapping[str, str] = NO_NOTES) -> None:
        assert all(f"{name}{word}".isascii() for name, word in notes.items())
        self.objects[key] = (data, media_type)
        self.notes[key] = dict(notes)

    def get(self, key: str) -> bytes | None:
        found = self.objects.get(key)
        return found[0] if found else None

    def get_noted(self, key: str) -> tuple[bytes, Mapping[str, str]] | None:
        data = self.get(key)
        return None if data is None else (data, self.notes.get(key, NO_NOTES))

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def names(self, prefix: str) -> list[str]:
        return [key for key in self.objects if key.startswith(prefix)][:1000]

    def delete_all(self, prefix: str) -> None:
        for key in self.names(prefix):
            self.delete(key)

    def presign_post(self, key: str, media_type: str, size: int, seconds: int) -> tuple[str, dict[str, str]]:
        return "https://bucket.example/", {"key": key, "Content-Type": media_type, "policy": f"{size} {seconds}"}

    def presign(self, key: str) -> str:
        return f"https://bucket.example/{key}?X-Amz-Signature=0"


class FakePictures:
    """Takes `WxH:anything` for a picture of that size."""

    def fit(self, data: bytes, size: Size, fmt: str, quality: int | None = None) -> tuple[bytes, Size]:
        head, _, rest = data.partition(b":")
        try:
            width, height = (int(side) for side in head.split(b"x"))
        except ValueError:
            raise ProviderFailure(Failure.BAD_ANSWER, "the provider's answer is no picture", paid="unknown") from None
        kind = fmt if quality is None else f"{fmt}@{quality}"
        return b"%dx%d:%s:%s" % (*size, kind.encode(), rest), (width, height)

    def pixels(self, data: bytes) -> int:
        return 1

    def take(self, data: bytes, warn: Callable[[str], object] = str, *, exact: bool = False) -> tuple[bytes, str]:
        if data.startswith(b"GIF8"):
            raise UnsupportedMediaType("an image must be PNG, JPEG or WebP, not GIF")
        return data, "image/png"

    def size(self, data: bytes) -> Size:
        head = data.partition(b":")[0].split(b"x")
        return (int(head[0]), int(head[1])) if len(head) == 2 and b"".join(head).isdigit() else (512, 512)

    def at_least(self, data: bytes, side: int) -> bytes:
        return data

    def vary(self, data: bytes, recipe: Recipe) -> bytes:
        return b"%dx%d:%s:%s" % (*recipe.size, recipe.format.encode(), data)

    def unwritable(self, text: str) -> str:
        return next((character for character in text if not character.isascii()), "")


class FakeLinkKeys:
    """One key for each tenant, until a test replaces it."""

    def __init__(self) -> None:
        self.keys: dict[str, LinkKey] = {}

    def get(self, kid: str) -> LinkKey | None:
        return self.keys.get(kid)

    def of(self, tenant: str, now: float) -> LinkKey:
        found = next((key for key in self.keys.values() if key.tenant == tenant and key.until is None), None)
        return found or self.add(new_link_key(tenant, now))

    def add(self, key: LinkKey) -> LinkKey:
        self.keys[key.kid] = key
        return key


@dataclass
class FakeProvider:
    """Plays a script: each entry is an exception to raise or a function of the order; then paints."""

    script: list[Exception | Callable[[ImageTask], GeneratedImage]] = field(default_factory=list)
    orders: list[ImageTask] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    def paint(self, order: ImageTask, timeout: float) -> GeneratedImage:
        self.orders.append(order)
        self.timeouts.append(timeout)
        step = self.script.pop(0) if self.script else None
        if isinstance(step, BaseException):
            raise step
        if step:
            return step(order)
        return GeneratedImage(b"%dx%d:%d" % (*order.generate, order.seed), order.seed)


class FakeProviders:
    def __init__(self, **providers: Provider | TicketProvider) -> None:
        self.providers = providers

    def configured(self) -> frozenset[str]:
        return frozenset(self.providers)

    def get(self, provider_id: str) -> Provider | TicketProvider:
        return self.providers[provider_id]


class FakeBatches:
    def __init__(self, jobs: FakeJobs) -> None:
        self.all = jobs
        self.rows: dict[tuple[str, str], Batch] = {}

    def create(self, batch: Batch, idempotency: Idempotency | None) -> Idempotency | None:
        if idempotency:
            at = (idempotency.tenant, idempotency.key)
            if at in self.all.keys:
                return self.all.keys[at]
            self.all.keys[at] = idempotency
        self.rows[batch.tenant, batch.id] = batch
        return None

    def get(self, tenant: str, batch_id: str) -> Batch | None:
        return self.rows.get((tenant, batch_id))

    def jobs(self, batch: Batch) -> list[Job]:
        found = (self.all.get(batch.tenant, job_id) for job_id in batch.job_ids)
        return [job for job in found if job]


class FakeQueue:
    """`chain` is what whoever sends now stands in."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.chain: Chain = API
        self.chains: list[Chain] = []

    def send(self, tenant: str, job_id: str, *, watchdog: bool, delay: int) -> None:
        self.sent.append({"tenant": tenant, "job_id": job_id, "watchdog": watchdog, "delay": delay})
        self.chains.append(self.chain)


@dataclass
class FakeWorkers:
    """Runs the job at once, unless told to let it go on."""

    deps: Deps | None = None
    busy: bool = False
    called: list[tuple[str, float]] = field(default_factory=list)

    def run(self, tenant: str, job_id: str, timeout: float) -> None:
        from lambdas.usecases.jobs.run_job import run_job

        self.called.append((job_id, timeout))
        if not self.busy and self.deps:
            run_job(tenant, job_id, self.deps.clock.now() + 800, self.deps)


class FakeMeter:
    def __init__(self) -> None:
        self.attempts: list[tuple[str, str, str]] = []
        self.jobs: list[str] = []
        self.takeovers = 0
        self.costs: list[tuple[str, str, float]] = []
        self.rate_hits = 0

    def attempt(self, provider: str, model: str, outcome: str, seconds: float, code: str | None = None) -> None:
        self.attempts.append((provider, model, outcome))

    def cost(self, provider: str, model: str, usd: float) -> None:
        self.costs.append((provider, model, usd))

    def rate_limited(self) -> None:
        self.rate_hits += 1

    def abandoned(self) -> None:
        self.takeovers += 1

    def job(self, job: Job) -> None:
        self.jobs.append(job.status)


class FakeHealth:
    def __init__(self, **rows: Health) -> None:
        self.rows: dict[str, Health] = dict(rows)
        self.observed: list[tuple[str, str, Seen]] = []

    def snapshot(self) -> dict[str, Health]:
        return dict(self.rows)

    def observe(self, provider: str, model: str, seen: Seen, seconds: float, cost: float, now: float) -> None:
        self.observed.append((provider, model, seen))
        self.rows[provider] = observed(self.rows.get(provider, Health()), seen, seconds, cost, now, model)

    def claim_probe(self, provider: str, now: float) -> bool:
        health = self.rows.get(provider, Health())
        verdict = may_call(health, now)
        if verdict == "probe":
            self.rows[provider] = probing(health, now)
        return verdict != "no"


class FakeSlots:
    """Without caps there is always room, and nothing is counted."""

    def __init__(self, **caps: int) -> None:
        self.caps = caps
        self.held: dict[str, dict[str, Slot]] = {}

    def acquire(self, provider: str, call: str, tenant: str, now: float, until: float) -> bool:
        if provider not in self.caps:
            return True
        after = slots.taken(self.held.get(provider, {}), call, Slot(tenant, until), self.caps[provider], now)
        if after is not None:
            self.held[provider] = after
        return after is not None

    def release(self, provider: str, call: str) -> None:
        self.held.get(provider, {}).pop(call, None)


@dataclass
class FakeBacklog:
    """As many messages and queued jobs as it is told."""

    messages: int | None = 0
    jobs: dict[str, int] = field(default_factory=dict)
    counted: list[tuple[str, int]] = field(default_factory=list)

    def waiting(self) -> int | None:
        return self.messages

    def queued(self, tenant: str, most: int) -> int:
        self.counted.append((tenant, most))
        return min(self.jobs.get(tenant, 0), most)


class FakeLimits:
    """GCRA as the textbook has it."""

    def __init__(self, per_minute: int = 0) -> None:
        self.limit = per_minute
        self.tats: dict[str, int] = {}

    def admit(self, tenant: str, cost: int, now: float) -> rate.Verdict | None:
        if not self.limit:
            return None
        at, tat = int(now * rate.SECOND), self.tats.get(tenant, 0)
        moved = max(tat, at) + cost * rate.interval(self.limit)
        if cost > self.limit or moved - at > rate.WINDOW:
            return rate.refused(self.limit, tat, at, cost)
        self.tats[tenant] = moved
        return rate.admitted(self.limit, moved, at)


class FakeBooks:
    """The same months as those of the jobs."""

    def __init__(self, jobs: FakeJobs) -> None:
        self._jobs = jobs

    def _month(self, tenant: str, at: float) -> Books:
        return self._jobs.books.setdefault((tenant, budget.month(at)), Books())

    def committed(self, tenant: str, at: float) -> Committed:
        month = self._jobs.books.get((tenant, budget.month(at)), Books())
        return Committed(month.committed_microusd, month.committed_images, month.spent_microusd, month.images)

    def hold(self, tenant: str, at: float, amount: int, caps: Caps) -> None:
        month = self._month(tenant, at)
        if caps.microusd and month.committed_microusd + amount > caps.microusd:
            raise budget.exceeded(caps, at)
        month.committed_microusd += amount

    def settle(
        self,
        tenant: str,
        at: float,
        held: int,
        spent: int,
        lost: int,
        sums: Mapping[analytics.Key, analytics.Columns],
    ) -> None:
        self._jobs.add(tenant, sums)
        month = self._month(tenant, at)
        month.committed_microusd += spent - held
        month.spent_microusd += spent
        month.lost_microusd += lost


class FakeAnalytics:
    """The sums that the jobs have added."""

    def __init__(self, jobs: FakeJobs) -> None:
        self._jobs = jobs

    def rows(
        self, tenant: str, days: analytics.Range, project_id: str | None
    ) -> list[tuple[analytics.Key, analytics.Columns]]:
        first, last = days.first.isoformat(), days.last.isoformat()
        return [
            (key, columns)
            for (whose, key), columns in sorted(self._jobs.sums.items())
            if whose == tenant and first <= key.day <= last and project_id in (None, key.project)
        ]


class FakeCounters:
    """The counters of requests, and of jobs those that are given."""

    def __init__(self, **gpu: GpuModel) -> None:
        self.series: dict[metrics.Series, Counter[str]] = {}
        self.gpu = gpu
        self.running = 0

    def request(self, series: metrics.Series, columns: metrics.Columns, now: float) -> None:
        self.series.setdefault(series, Counter()).update(columns)

    def unloaded(self, models: Iterable[str], now: float) -> None:
        for model in models:
            before = self.gpu.get(model)
            self.gpu[model] = GpuModel(False, before.load_seconds if before else None, now)

    def read(self, now: float) -> Figures:
        return Figures({s: Counted(c, 1_780_000_000.0) for s, c in self.series.items()}, self.gpu, self.running)


class FakeProjects:
    def __init__(self, jobs: FakeJobs) -> None:
        self.all = jobs
        self.rows: dict[tuple[str, str], Project] = {}

    def create(self, project: Project) -> bool:
        return self.rows.setdefault((project.tenant, project.id), project) is project

    def ensure(self, tenant: str, project_id: str, now: float) -> None:
        self.create(Project(tenant, project_id, project_id, now))

    def get(self, tenant: str, project_id: str) -> Project | None:
        return self.rows.get((tenant, project_id))

    def list(self, tenant: str, limit: int, after: str | None) -> list[Project]:
        return [p for (t, name), p in sorted(self.rows.items()) if t == tenant and name > (after or "")][:limit]

    def counts(self, tenant: str, project_id: str) -> Counts:
        jobs = sum(t == tenant and job.request.project_id == project_id for (t, _), job in self.all.rows.items())
        images = sum(t == tenant and image.project_id == project_id for (t, _), image in self.all.images.items())
        return Counts(jobs, images)


MADE_OF_THE_OTHERS: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fakes(Deps):
    """A service with the demo provider alone, or what the test gives; where a port is a fake, its type says so."""

    jobs: FakeJobs = field(default_factory=FakeJobs)
    blobs: FakeBlobs = field(default_factory=FakeBlobs)
    pictures: Pictures = field(default_factory=FakePictures)
    queue: FakeQueue = field(default_factory=FakeQueue)
    workers: FakeWorkers = field(default_factory=FakeWorkers)
    providers: Providers = field(default_factory=lambda: FakeProviders(demo=FakeProvider()))
    clock: FakeClock = field(default_factory=FakeClock)
    meter: FakeMeter = field(default_factory=FakeMeter)
    health: FakeHealth = field(default_factory=FakeHealth)
    batches: FakeBatches = MADE_OF_THE_OTHERS
    limits: FakeLimits = field(default_factory=FakeLimits)
    books: FakeBooks = MADE_OF_THE_OTHERS
    link_keys: FakeLinkKeys = field(default_factory=FakeLinkKeys)
    projects: FakeProjects = MADE_OF_THE_OTHERS
    slots: FakeSlots = field(default_factory=FakeSlots)
    backlog: FakeBacklog = field(default_factory=FakeBacklog)
    outbox: FakeOutbox = MADE_OF_THE_OTHERS
    events: FakeEvents = MADE_OF_THE_OTHERS
    analytics: FakeAnalytics = MADE_OF_THE_OTHERS
    counters: Counters | None = None
    webhook_urls: WebhookUrls = field(default_factory=FakeUrls)
    compositor: Compositor = field(default_factory=PillowCompositor)
    default_model: str = "stabilityai/sdxl-turbo"

    def __post_init__(self) -> None:
        made: dict[str, Callable[[], object]] = {
            "batches": lambda: FakeBatches(self.jobs),
            "books": lambda: FakeBooks(self.jobs),
            "projects": lambda: FakeProjects(self.jobs),
            "analytics": lambda: FakeAnalytics(self.jobs),
            "outbox": lambda: self.jobs.outbox,
            "events": lambda: FakeEvents(self.clock.now),
        }
        for name, make in made.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, make())
        self.workers.deps = self


def deps_on_fakes() -> Deps:
    """To `replace` some of them by ports that are no fakes."""
    return Fakes()

"""The ports: what the use cases need of the world outside, each with one job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol, runtime_checkable

from lambdas.domain.budget import NO_CAPS, Caps
from lambdas.domain.health import Health
from lambdas.domain.jobs import Batch, Idempotency, Job, JobFilter, StoredImage
from lambdas.domain.model_card import Size
from lambdas.domain.projects import Counts, Project
from lambdas.domain.rate import Verdict
from lambdas.domain.requests import Order, Painted, Ticket
from lambdas.domain.text_prices import TextPrice

NO_NOTES: Final[Mapping[str, str]] = MappingProxyType({})


class Provider(Protocol):
    """An image service. Adding one: lambdas/providers/README.md."""

    def paint(self, order: Order, timeout: float) -> Painted:
        """Make one image within `timeout` seconds, in one paid call, never retried here.

        Raises ProviderFailure for everything that is not an image.
        """


@runtime_checkable
class TicketProvider(Protocol):
    """An image service whose work outlives the call that starts it.

    `client_chooses_id`: whether the work's id is `order.id`, so that it can be asked after by whoever knows the
    order, even where the answer to `submit` was lost. `tells_when_done`, where it is there and true: bring_result is
    called at the end of the work, so that nobody has to stay for it.
    """

    client_chooses_id: bool

    def submit(self, order: Order, timeout: float) -> Ticket:
        """Start one image in one paid call, never retried here. Raises ProviderFailure.

        Where the service lets the client choose the id of the work, it is `order.id`.
        """

    def collect(self, ticket: Ticket, order: Order, timeout: float) -> Painted | None:
        """Ask once whether the work is done: its image, or `None` while it goes on.

        Raises ProviderFailure: `unavailable` or `throttled` where asking failed and may be tried again, `failed`
        or `content_policy` where the work ended without an image, `outcome_unknown` where the service does not
        know the ticket. Asking costs nothing and may be repeated without limit.
        """


class Providers(Protocol):
    def configured(self) -> frozenset[str]:
        """The ids of the providers that could be called now."""

    def get(self, provider_id: str) -> Provider | TicketProvider:
        """The provider, imported on first use."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and where the next page begins (`None`: this was the last)."""

    jobs: list[Job]
    next_cursor: str | None


class Jobs(Protocol):
    """Job records, moved only by conditional writes. Every method is bound to a tenant."""

    def create(self, job: Job, idempotency: Idempotency | None, caps: Caps = NO_CAPS) -> Idempotency | None:
        """Put a new job and, in the same transaction, its idempotency record and its reservation in the month's books.

        Returns the living record of the same key when there is one already; then nothing was written. Nor was
        anything where the reservation would pass a cap: then it raises BudgetExceeded; nor where another request has
        made a job of this id: then it raises RecordExists.
        """

    def used(self, tenant: str, key: str, now: float) -> Idempotency | None:
        """The living record of an Idempotency-Key."""

    def get(self, tenant: str, job_id: str) -> Job | None: ...

    def claim(self, tenant: str, job_id: str, now: float, lease_until: float) -> Job | None:
        """Take a queued job, or a running one whose lease has passed, under a new fence; else `None`."""

    def renew(self, job: Job, lease_until: float) -> bool:
        """Lengthen the lease; False when another run has taken the job over."""

    def save(self, job: Job) -> bool:
        """Store the attempts and images so far; False when another run has taken the job over."""

    def release(self, job: Job) -> bool:
        """Give a claimed job back to the queue; False when another run has taken it over.

        One of which nothing is begun, or whose last attempt is a ticket that is waited for.
        """

    def finish(self, job: Job) -> bool:
        """Move a running job to its final state, with its images and what it cost; False when another run was first."""

    def cancel(self, tenant: str, job_id: str, now: float) -> bool:
        """Move a queued job to `cancelled`; False when it was not queued."""

    def list(self, tenant: str, where: JobFilter, limit: int, cursor: str | None) -> Page: ...

    def remember(self, job: Job) -> None:
        """Let this completed job answer later requests of the same cache key."""

    def recall(self, tenant: str, cache_key: str) -> Job | None:
        """The completed job of an equal request, if there is one with all its images."""

    def find_image(self, tenant: str, name: str) -> StoredImage | None: ...

    def drop_image(self, tenant: str, image: StoredImage) -> bool:
        """Take the image off its job, which has ended, and off every list; False where that was done before."""


class Blobs(Protocol):
    """The private bucket."""

    def put(self, key: str, data: bytes, media_type: str, notes: Mapping[str, str] = NO_NOTES) -> None:
        """Store the object; `notes` are a few short ASCII words that stand with it."""

    def get(self, key: str) -> bytes | None:
        """The object's bytes, or `None` where there is none."""

    def get_noted(self, key: str) -> tuple[bytes, Mapping[str, str]] | None:
        """The object's bytes and its notes, or `None` where there is none."""

    def delete(self, key: str) -> None: ...

    def presign(self, key: str) -> str:
        """A URL that downloads the object with no key, for the configured time."""


class Pictures(Protocol):
    """Bytes that claim to be a picture, made into one that surely is."""

    def fit(self, data: bytes, size: Size, fmt: str) -> tuple[bytes, Size]:
        """Check, scale to cover `size`, crop to it and encode as `fmt`; also tells the size that came.

        Raises ProviderFailure("bad_answer") for what is not a whole PNG, JPEG or WebP within the pixel cap.
        Bytes that already fit are passed through untouched.
        """

    def pixels(self, data: bytes) -> int:
        """How many pixels a client's picture has, by its structure: nothing is decoded. Raises as `take`."""

    def take(self, data: bytes, warn: Callable[[str], object] = str, *, exact: bool = False) -> tuple[bytes, str]:
        """A client's picture, without its metadata, upright and in sRGB, and its media type.

        `warn` is told what the client should know of it. `exact`: a JPEG that lies on its side stays so, with the note
        that says it, since to turn it is to encode it anew, which would change its pixels.
        Raises MalformedBody, UnsupportedMediaType or TooLarge.
        """

    def at_least(self, data: bytes, side: int) -> bytes:
        """A taken picture as it is, or enlarged in proportion, as a PNG, so that no side has fewer pixels than `side`.

        Raises TooLarge for one so narrow that it would become far too long.
        """


class Batches(Protocol):
    """Which jobs were asked for together."""

    def create(self, batch: Batch, idempotency: Idempotency | None) -> Idempotency | None:
        """As Jobs.create; the record's `job_id` is then the batch's id."""

    def get(self, tenant: str, batch_id: str) -> Batch | None: ...

    def jobs(self, batch: Batch) -> list[Job]:
        """The batch's jobs that exist, in its order."""


class Queue(Protocol):
    def send(self, tenant: str, job_id: str, *, watchdog: bool, delay: int) -> None:
        """Send a message to the workers that arrives after `delay` seconds.

        Raises Unavailable for a `watchdog` alone: any other that is lost costs the job some time, until that one comes.
        """


class Workers(Protocol):
    def run(self, tenant: str, job_id: str, timeout: float) -> None:
        """Start the job in a worker now and wait for its end, `timeout` seconds at the most.

        Returns quietly in any case: whether the job ended is for its record to say.
        """


class Clock(Protocol):
    def now(self) -> float:
        """Unix time in seconds."""

    def sleep(self, seconds: float) -> None: ...


class Meter(Protocol):
    """Figures about the work, for the dashboards."""

    def attempt(self, provider: str, model: str, outcome: str, seconds: float) -> None: ...

    def cost(self, provider: str, model: str, usd: float) -> None:
        """A provider charged this."""

    def rate_limited(self) -> None:
        """A request was refused because its tenant makes too many."""

    def abandoned(self) -> None:
        """A job was taken over from a run that had died."""

    def job(self, job: Job) -> None:
        """A job has ended."""


class ProviderHealth(Protocol):
    """What all functions together have lately seen of the providers. Never raises: without it, all look well."""

    def snapshot(self) -> Mapping[str, Health]:
        """By provider id, a few seconds old at the most; a provider that was not called lately is not in it."""

    def observe(self, provider: str, model: str, outcome_code: str, seconds: float, cost: float, now: float) -> None:
        """A call ended at `now`: `success`, `asleep`, or a word of errors.FAILURES."""

    def claim_probe(self, provider: str, now: float) -> bool:
        """Ask before calling a provider that health.may_call says `probe` of: whether the caller may call it.

        True for one caller over all functions, until its outcome is observed or health.PROBE_SECONDS have passed;
        for every caller once the provider is open again.
        """


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a language model wrote, and what it charged in USD: `estimated` where its answer counts no tokens."""

    text: str
    cost_usd: float = 0.0
    estimated: bool = False


class PromptEngine(Protocol):
    """A language model that shortens prompts. Its rewrites are strangers' text: domain/prompts/guard.py judges them."""

    @property
    def name(self) -> str:
        """The service it runs on: `ollama` or `bedrock`."""

    @property
    def model(self) -> str: ...

    @property
    def price(self) -> TextPrice | None:
        """`None`: it costs nothing."""

    def rewrite(self, prompt: str, limit: int, timeout: float) -> Rewrite:
        """The prompt in fewer than `limit` characters, as well as the model can count, within `timeout` seconds.

        Raises ProviderFailure for everything else, with what it cost.
        """

    def health(self, timeout: float) -> bool:
        """Whether it would answer now."""


class Books(Protocol):
    """A tenant's month of money for what is no job; that of jobs moves with their records. Sums in micro-dollars."""

    def hold(self, tenant: str, at: float, amount: int, caps: Caps) -> None:
        """Reserve in the month of `at`. Raises BudgetExceeded."""

    def settle(self, tenant: str, at: float, held: int, spent: int, lost: int) -> None:
        """Replace what was held by what was spent, and by what may have been."""


class Limits(Protocol):
    """How fast a tenant may ask for what costs or writes."""

    def admit(self, tenant: str, cost: int, now: float) -> Verdict | None:
        """Count `cost` requests at `now`, all or none of them; `None` where there is no limit."""


class Projects(Protocol):
    """A tenant's projects."""

    def create(self, project: Project) -> bool:
        """False when there is one of this id."""

    def ensure(self, tenant: str, project_id: str, now: float) -> None:
        """Make the project, named as its id, where it does not exist. Costs nothing the next time."""

    def get(self, tenant: str, project_id: str) -> Project | None: ...

    def list(self, tenant: str, limit: int, after: str | None) -> list[Project]:
        """In the order of their ids, those that come after `after`."""

    def counts(self, tenant: str, project_id: str) -> Counts: ...

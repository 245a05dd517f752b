"""The ports: what the use cases need of the world outside, each with one job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lambdas.domain.catalogue import Size
from lambdas.domain.jobs import Idempotency, Job, JobFilter, StoredImage
from lambdas.domain.requests import Order, Painted


class Provider(Protocol):
    """An image service. Adding one: lambdas/providers/README.md."""

    def paint(self, order: Order, timeout: float) -> Painted:
        """Make one image within `timeout` seconds, in one paid call, never retried here.

        Raises ProviderFailure for everything that is not an image.
        """


class Providers(Protocol):
    def configured(self) -> frozenset[str]:
        """The ids of the providers that could be called now."""

    def get(self, provider_id: str) -> Provider:
        """The provider, imported on first use."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first, and where the next page begins (`None`: this was the last)."""

    jobs: list[Job]
    next_cursor: str | None


class Jobs(Protocol):
    """Job records, moved only by conditional writes. Every method is bound to a tenant."""

    def create(self, job: Job, idempotency: Idempotency | None) -> Idempotency | None:
        """Put a new job and, in the same transaction, its idempotency record.

        Returns the living record of the same key when there is one already; then nothing was written.
        """

    def get(self, tenant: str, job_id: str) -> Job | None: ...

    def claim(self, tenant: str, job_id: str, now: float, lease_until: float) -> Job | None:
        """Take a queued job, or a running one whose lease has passed, under a new fence; else `None`."""

    def renew(self, job: Job, lease_until: float) -> bool:
        """Lengthen the lease; False when another run has taken the job over."""

    def save(self, job: Job) -> bool:
        """Store the attempts and images so far; False when another run has taken the job over."""

    def finish(self, job: Job) -> bool:
        """Move a running job to its final state with its images; False when another run was first."""

    def cancel(self, tenant: str, job_id: str, now: float) -> bool:
        """Move a queued job to `cancelled`; False when it was not queued."""

    def list(self, tenant: str, where: JobFilter, limit: int, cursor: str | None) -> Page: ...

    def find_image(self, tenant: str, name: str) -> StoredImage | None: ...


class Blobs(Protocol):
    """The private bucket."""

    def put(self, key: str, data: bytes, media_type: str) -> None: ...

    def get(self, key: str) -> bytes | None:
        """The object's bytes, or `None` where there is none."""

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


class Queue(Protocol):
    def send(self, tenant: str, job_id: str, *, watchdog: bool, delay: int) -> None:
        """Send a message to the workers that arrives after `delay` seconds."""


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

    def abandoned(self) -> None:
        """A job was taken over from a run that had died."""

    def job(self, status: str, images: Sequence[StoredImage]) -> None: ...

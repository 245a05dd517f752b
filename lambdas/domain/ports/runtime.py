"""The ports to the clock and to the figures on the dashboards."""

from __future__ import annotations

from typing import Protocol

from lambdas.domain.jobs.job import Job


class Clock(Protocol):
    def now(self) -> float:
        """Unix time in seconds."""

    def sleep(self, seconds: float) -> None: ...


class Meter(Protocol):
    """Figures about the work, for the dashboards."""

    def attempt(self, provider: str, model: str, outcome: str, seconds: float, code: str | None = None) -> None:
        """A call to a provider ended; `code` says why it failed."""

    def cost(self, provider: str, model: str, usd: float) -> None:
        """A provider charged this."""

    def rate_limited(self) -> None:
        """A request was refused because its tenant makes too many."""

    def abandoned(self) -> None:
        """A job was taken over from a run that had died."""

    def job(self, job: Job) -> None:
        """A job has ended."""

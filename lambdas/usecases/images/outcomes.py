"""What a request for one image can come to, each outcome with the job as it then stands."""

from __future__ import annotations

from dataclasses import dataclass

from lambdas.domain.errors import ServiceError
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.job import Job


@dataclass(frozen=True, slots=True)
class Made:
    """The image is stored and on the job."""

    job: Job


@dataclass(frozen=True, slots=True)
class CutOut:
    """The product's cut-out is stored; the model that paints its background is next."""

    job: Job


@dataclass(frozen=True, slots=True)
class NotMade:
    """There is no image yet. `failure` is the last call's; `None` where none was made or it cost nothing to lose."""

    job: Job
    failure: ProviderFailure | None = None


@dataclass(frozen=True, slots=True)
class NoRoom:
    """Every provider that could be asked is at its cap, or cannot be reached just now.

    `until`: when one may be asked again (Unix seconds), where that is known.
    """

    job: Job
    until: float | None = None


@dataclass(frozen=True, slots=True)
class StillWorking:
    """A provider that notifies of completion has accepted the work, and this run need not wait."""

    job: Job


@dataclass(frozen=True, slots=True)
class Failed:
    """The job cannot be done; `error` is for the client."""

    job: Job
    error: ServiceError

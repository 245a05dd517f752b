"""Store the state of a running job, unless another run has taken the job over."""

from __future__ import annotations

from lambdas.domain.jobs.job import Job
from lambdas.usecases.deps import Deps
from lambdas.usecases.retry import retry_while_unavailable


class TakenOver(Exception):
    """Another run holds the job now; this one must not touch it any more."""


def save(job: Job, deps: Deps, *, retry: bool = False) -> None:
    """`retry` the write while the table is out of reach: losing it would leave a paid call with an unknown outcome.

    Raises TakenOver.
    """
    saved = retry_while_unavailable(lambda: deps.jobs.save(job), deps.clock) if retry else deps.jobs.save(job)
    if not saved:
        raise TakenOver

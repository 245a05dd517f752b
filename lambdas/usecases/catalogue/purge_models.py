"""Empty the GPU worker's memory of models."""

from __future__ import annotations

from typing import Final

from lambdas.domain.errors import (
    GenerationTimeout,
    NotSupported,
    ProvidersFailed,
    ProviderUnconfigured,
    Unavailable,
)
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.ports.providers import ModelCache, Purged
from lambdas.usecases.deps import Deps

PROVIDER: Final = "sagemaker"
SECONDS: Final = 25.0  # the worker first ends the batch that it paints


def purge_models(model_id: str | None, deadline: float, deps: Deps) -> Purged:
    """One model, or all. `deadline` in Unix seconds.

    Raises ProviderUnconfigured without a worker, NotSupported where it cannot be reached but through a queue, and
    Unavailable, GenerationTimeout or ProvidersFailed for what it answers.
    """
    if PROVIDER not in deps.providers.configured():
        raise ProviderUnconfigured("there is no GPU worker here whose memory could be emptied")
    worker = deps.providers.get(PROVIDER)
    if not isinstance(worker, ModelCache):
        raise NotSupported("the GPU worker takes its work through a queue, where its memory cannot be emptied")
    try:
        purged = worker.purge(model_id, min(SECONDS, deadline - deps.clock.now()))
    except ProviderFailure as failure:
        if failure.code in (Failure.UNAVAILABLE, Failure.THROTTLED):
            wait = max(1, round(failure.retry_after or 5))
            raise Unavailable(f"{failure.detail}; try again in {wait} s", retry_after=wait) from None
        if failure.code == Failure.TIMEOUT:
            raise GenerationTimeout(failure.detail) from None
        raise ProvidersFailed(failure.detail) from None
    if deps.counters:
        deps.counters.unloaded(purged.removed, deps.clock.now())
    return purged

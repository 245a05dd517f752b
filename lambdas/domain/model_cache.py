"""The GPU worker's models in memory, as far as a client may empty them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Purged:
    """Ids of models: those that were taken out of memory, and those that are still there."""

    removed: tuple[str, ...]
    remaining: tuple[str, ...]


@runtime_checkable
class ModelCache(Protocol):
    """A provider that keeps models in memory and can be told at once to let them go."""

    def purge(self, model_id: str | None, timeout: float) -> Purged:
        """Take one model, or all, out of memory. Raises ProviderFailure."""

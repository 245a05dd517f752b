"""The ports that keep load in bounds: room at the providers, and what waits in the queue."""

from __future__ import annotations

from typing import Protocol


class Slots(Protocol):
    """Room at the providers, counted over all functions. Never raises: without the count there is room."""

    def acquire(self, provider: str, call: str, tenant: str, now: float, until: float) -> bool:
        """Give the call a slot that holds until it is freed, or until `until` (Unix seconds) if it never is.

        False where the provider, or the tenant's share of it, is full. A provider without a cap always has room.
        """

    def release(self, provider: str, call: str) -> None:
        """Give the call's slot back; without effect where it has none."""


class Backlog(Protocol):
    """What waits for the workers, a few seconds old at the most. Never raises."""

    def waiting(self) -> int | None:
        """How many messages wait in the queue, about; `None` where that is not known."""

    def queued(self, tenant: str, most: int) -> int:
        """How many jobs of the tenant are queued, counted up to `most`; 0 where that is not known."""

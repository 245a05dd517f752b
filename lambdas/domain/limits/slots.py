"""Limits the concurrent calls to a provider, and each tenant's share of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lambdas.domain.providers import TABLE

# The other providers refuse excess calls with a hint, which routing follows.
DEFAULT_CAPS: Final = {entry.id: entry.max_calls for entry in TABLE if entry.max_calls}
MARGIN: Final = 15.0  # seconds beyond a call's own limit until its slot is free again, whatever happened to its run
MIN_PAUSE, MAX_PAUSE = 5.0, 30.0  # seconds until a job without a slot is tried again, growing


@dataclass(frozen=True, slots=True)
class Slot:
    """One call's slot: its tenant, and the Unix time until which it is held unless released."""

    tenant: str
    until: float


def caps(given: Mapping[str, int]) -> dict[str, int]:
    """Return the concurrent calls of each provider: `given` overrides the defaults, and 0 removes a cap."""
    return {provider: cap for provider, cap in (DEFAULT_CAPS | dict(given)).items() if cap > 0}


def room(cap: int, own: int, others: int) -> bool:
    """Return whether a tenant that holds `own` of `cap` slots, beside `others`, may have one more.

    It may have three times the slots that it leaves free (a dynamic threshold, after Choudhury and Hahne, 1998), and of
    two slots or more never all. So one tenant alone gets `share(cap)`, and several leave room for the next one.
    """
    free = cap - own - others
    return free > 0 and own < min(3 * free, share(cap))


def share(cap: int) -> int:
    """Return how many of `cap` slots one tenant may hold at most: three quarters."""
    return max(1, min(cap - 1, math.ceil(cap * 3 / 4)))


def taken(held: Mapping[str, Slot], call: str, slot: Slot, cap: int, now: float) -> dict[str, Slot] | None:
    """Return the slots held once `call` has its slot; `None` if there is none for it or for its tenant.

    Expired slots are released. A call that has a slot keeps it.
    """
    others = {name: other for name, other in held.items() if other.until > now and name != call}
    own = sum(other.tenant == slot.tenant for other in others.values())
    return {**others, call: slot} if room(cap, own, len(others) - own) else None


def pause(released: int, jitter: float) -> int:
    """Return the whole seconds until a job that found no slot `released` times is tried again. `jitter`: 0 to 1."""
    longest = min(MAX_PAUSE, MIN_PAUSE * 2.0 ** min(released - 1, 10))
    return round(longest * (1 + jitter) / 2)

"""How many calls a provider is given at a time, and how many of them one tenant may hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lambdas.domain.providers import TABLE

# Those without a cap refuse what is too much with a hint, which routing heeds.
DEFAULT_CAPS: Final = {entry.id: entry.max_calls for entry in TABLE if entry.max_calls}
MARGIN: Final = 15.0  # seconds beyond a call's own limit until its slot is free again, whatever became of its run
MIN_PAUSE, MAX_PAUSE = 5.0, 30.0  # seconds until a job that found no room is tried again, growing


@dataclass(frozen=True, slots=True)
class Slot:
    """One call's place: whose it is, and until when (Unix seconds) it holds without being given back."""

    tenant: str
    until: float


def caps(given: Mapping[str, int]) -> dict[str, int]:
    """Provider to calls at a time: what is `given` over the defaults; 0 takes a cap away."""
    return {provider: cap for provider, cap in (DEFAULT_CAPS | dict(given)).items() if cap > 0}


def room(cap: int, own: int, others: int) -> bool:
    """Whether a tenant that holds `own` of `cap` slots, beside `others`, may have one more.

    It may have three times what it leaves free (a dynamic threshold, after Choudhury and Hahne, 1998), and where there
    are two slots or more, never all. So one alone gets `share(cap)`, and several leave room for the next one.
    """
    free = cap - own - others
    return free > 0 and own < min(3 * free, share(cap))


def share(cap: int) -> int:
    """How many of `cap` slots one tenant may hold at the most: three quarters."""
    return max(1, min(cap - 1, math.ceil(cap * 3 / 4)))


def taken(held: Mapping[str, Slot], call: str, slot: Slot, cap: int, now: float) -> dict[str, Slot] | None:
    """What is held once `call` has its slot; `None` where there is no room for it, or none for its tenant.

    Slots whose time is over are let go. A call that has a slot keeps it.
    """
    others = {name: other for name, other in held.items() if other.until > now and name != call}
    own = sum(other.tenant == slot.tenant for other in others.values())
    return {**others, call: slot} if room(cap, own, len(others) - own) else None


def pause(released: int, jitter: float) -> int:
    """Whole seconds until a job is tried again that found no room for the `released`th time. `jitter` from 0 to 1."""
    longest = min(MAX_PAUSE, MIN_PAUSE * 2.0 ** min(released - 1, 10))
    return round(longest * (1 + jitter) / 2)

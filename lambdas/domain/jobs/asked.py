"""Decides which job a repetition of a request takes up, where the client sends no Idempotency-Key.

A client that repeats a request by itself numbers its sendings, and does not know of the job that an earlier one has
made. Each job of such a request has an `Asked`, which says which sending has it and what became of that sending. A
later sending takes over one that an earlier sending had, by a conditional write, so that equal requests, each with
repetitions, end with a job each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

State = Literal["held", "open", "failed", "answered", "spent"]
HELD: Final = "held"  # its sending is at work, or was cut off
OPEN: Final = "open"  # its client was told to come back, since the job goes on
FAILED: Final = "failed"  # its client was told that another try may help
ANSWERED: Final = "answered"  # its client was sent the end of the job
SPENT: Final = "spent"  # a repetition has made another job in its place

KEPT_SECONDS: Final = 3600  # after the job was made: clients stop repeating long before
ANSWERED_SECONDS: Final = 600  # after the answer, which may have been lost on its way

# Surest first: clients that were told to come back do so. Of equal requests at work, nobody can tell whose connection
# has broken; the oldest is taken, since clients give up in that order.
_TAKEN_UP: Final = (OPEN, FAILED, HELD, ANSWERED)


@dataclass(frozen=True, slots=True)
class Sending:
    """One sending of a request: `number` counts the client's own repetitions, `None` where it does not say."""

    fingerprint: str
    number: int | None
    token: str  # of this sending alone


@dataclass(frozen=True, slots=True)
class Asked:
    """A job by what was asked, with the sending (`holder`) that answers with it, and that sending's number."""

    tenant: str
    fingerprint: str
    job_id: str
    holder: str
    number: int
    expires_at: int
    state: State = HELD

    def taken_by(self, sending: Sending) -> Asked:
        number = self.number + 1 if sending.number is None else sending.number
        return replace(self, holder=sending.token, number=number, state=SPENT if self.state == FAILED else HELD)

    def ended(self, state: State, now: float) -> Asked:
        """With what became of its sending."""
        until = int(now) + ANSWERED_SECONDS if state == ANSWERED else self.expires_at
        return replace(self, state=state, expires_at=until)


def first(tenant: str, sending: Sending, job_id: str, now: float) -> Asked:
    """Of a job that this sending makes."""
    return Asked(tenant, sending.fingerprint, job_id, sending.token, sending.number or 0, int(now) + KEPT_SECONDS)


def to_take_up(rows: Iterable[Asked], sending: Sending, now: float) -> list[Asked]:
    """What this sending may take over, the likeliest first.

    A first sending takes nothing. One that does not count its repetitions takes only what a client was told to come
    back for. Any other takes what sendings of a lower number had: of its own client's, the last one is the nearest.
    """
    states = (OPEN,) if sending.number is None else _TAKEN_UP
    number = float("inf") if sending.number is None else sending.number
    found = [row for row in _living(rows, now) if row.state in states and row.number < number]
    return sorted(found, key=lambda row: (states.index(row.state), -row.number, row.job_id))


def _living(rows: Iterable[Asked], now: float) -> Iterable[Asked]:
    return (row for row in rows if row.expires_at >= now)

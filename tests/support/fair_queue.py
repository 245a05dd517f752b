"""An SQS standard queue in virtual time, with and without the fair queues of MessageGroupId.

The rules are those of "How Amazon SQS fair queues work" in the developer guide. A tenant is noisy while it has more
than a tenth of the messages in flight and at least 30 of them, or has lately used more than a tenth of the consumers'
time, until its backlog is consumed. Whoever receives gets the messages of quiet tenants first; where all are noisy,
those of the one with the fewest in flight. How long "lately" is the guide does not say: here it fades by half in a
minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.virtual_time import World

NOISY_PART = 0.1
NOISY_IN_FLIGHT = 30
HALF_LIFE = 60.0


@dataclass(frozen=True)
class Message:
    """A message to the workers. `number` is its place in the order of arrival."""

    tenant: str
    job_id: str
    watchdog: bool
    number: int = 0


class FairQueue:
    """The port Queue, and the consumers' side of it. Without `fair` the oldest message is always the next."""

    def __init__(self, world: World, *, fair: bool) -> None:
        self._world = world
        self._fair = fair
        self._lines: dict[str, deque[Message]] = {}
        self._in_flight: dict[str, int] = {}
        self._spent: dict[str, float] = {}  # of the consumers' time, fading
        self._as_of = world.now()
        self._arrived = 0
        self._idle: deque[Callable[[], None]] = deque()

    def send(self, tenant: str, job_id: str, *, watchdog: bool, delay: int) -> None:
        self._world.at(self._world.now() + delay, lambda: self._arrive(Message(tenant, job_id, watchdog)))

    def waiting(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def receive(self) -> Message:
        """The next message; the consumer waits for it."""
        while not any(self._lines.values()):
            self._idle.append(self._world.park())
            self._world.parked()
        self._account()
        tenant = self._next()
        message = self._lines[tenant].popleft()
        if not self._lines[tenant]:
            self._spent[tenant] = 0.0
        self._in_flight[tenant] = self._in_flight.get(tenant, 0) + 1
        return message

    def delete(self, message: Message) -> None:
        self._account()
        self._in_flight[message.tenant] -= 1

    def _arrive(self, message: Message) -> None:
        self._arrived += 1
        numbered = Message(message.tenant, message.job_id, message.watchdog, self._arrived)
        self._lines.setdefault(message.tenant, deque()).append(numbered)
        if self._idle:
            self._idle.popleft()()

    def _next(self) -> str:
        waiting = [tenant for tenant, line in self._lines.items() if line]
        if self._fair:
            quiet = [tenant for tenant in waiting if not self._noisy(tenant)]
            if not quiet:
                return min(waiting, key=lambda tenant: (self._in_flight.get(tenant, 0), self._lines[tenant][0].number))
            waiting = quiet
        return min(waiting, key=lambda tenant: self._lines[tenant][0].number)

    def _noisy(self, tenant: str) -> bool:
        flying, of_all = self._in_flight.get(tenant, 0), sum(self._in_flight.values())
        spent, in_all = self._spent.get(tenant, 0.0), sum(self._spent.values())
        return (flying > NOISY_PART * of_all and flying >= NOISY_IN_FLIGHT) or spent > NOISY_PART * in_all

    def _account(self) -> None:
        passed = self._world.now() - self._as_of
        self._as_of = self._world.now()
        weight = 0.5 ** (passed / HALF_LIFE)
        for tenant, flying in self._in_flight.items():
            self._spent[tenant] = self._spent.get(tenant, 0.0) * weight + flying * passed

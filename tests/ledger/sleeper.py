"""A GPU that is asleep at first and notifies at completion, as an asynchronous endpoint does."""

from __future__ import annotations

from collections.abc import Callable

from lambdas.domain.jobs.request import GeneratedImage, ImageTask, Ticket
from tests.ledger.stage import plain


class Sleeper:
    """The port TicketProvider, whose work is done from `wakes_at` on, in the time of `now`."""

    client_chooses_id = False
    notifies_completion = True

    def __init__(self, now: Callable[[], float], wakes_at: float) -> None:
        self._now, self._wakes_at = now, wakes_at

    def submit(self, order: ImageTask, timeout: float) -> Ticket:
        return Ticket(f"place-{order.id}")

    def collect(self, ticket: Ticket, order: ImageTask, timeout: float) -> GeneratedImage | None:
        awake = self._now() >= self._wakes_at
        return GeneratedImage(plain(ticket.id, order.generate), order.seed) if awake else None

"""Call one provider for one image, whether it answers at once or issues a ticket to poll."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final

from lambdas.domain import failure_boundary
from lambdas.domain.failures import CONSEQUENCES, Failure, Paid, ProviderFailure
from lambdas.domain.jobs.request import GeneratedImage, ImageTask, Ticket
from lambdas.domain.ports.providers import Provider, TicketProvider
from lambdas.domain.ports.runtime import Clock

MAX_TRIES = 3  # of one image at one provider, while each try surely cost nothing
SUBMIT_SECONDS = 20.0
COLLECT_SECONDS = 20.0
MIN_POLL_SECONDS = 2.0  # timeout of the last poll, however late it is
MIN_WAIT, MAX_WAIT = 0.5, 3.0  # between two polls, growing
MAX_BROKEN = 3  # polls in a row whose answer the provider's module could not read
MAX_STAY_SECONDS = 60.0  # that a worker polls a provider that notifies of completion, before it leaves

AnyProvider = Provider | TicketProvider

_UNREAD: Final[dict[Paid, tuple[Failure, str]]] = {
    "unknown": (Failure.OUTCOME_UNKNOWN, "the answer to a paid call could not be read"),
    "no": (Failure.BAD_ANSWER, "the answer could not be read"),
}


def ask(
    provider: AnyProvider, task: ImageTask, until: float, clock: Clock, accepted: Callable[[Ticket], None]
) -> GeneratedImage:
    """The image, before `until` (Unix seconds). `accepted` is called with a ticket before the first poll.

    Raises ProviderFailure.
    """
    left = until - clock.now()
    if left <= 0:
        raise ProviderFailure(Failure.TIMEOUT, "there was no time left to ask")
    if not isinstance(provider, TicketProvider):
        with _wall(task):
            return provider.paint(task, left)
    try:
        with _wall(task):
            ticket = provider.submit(task, min(SUBMIT_SECONDS, left))
    except ProviderFailure as failure:
        if failure.paid != "unknown" or not provider.client_chooses_id:
            raise
        ticket = Ticket(task.id)  # it may have been accepted: by our own id that can be found out
    accepted(ticket)
    return collect(provider, ticket, task, until, clock)


def collect(provider: AnyProvider, ticket: Ticket, task: ImageTask, until: float, clock: Clock) -> GeneratedImage:
    """Poll a ticket until its work is done. A poll is free and is repeated if it fails.

    There is always a last poll at `until`, however long the provider asks to wait: the work may be done and paid.
    Raises ProviderFailure: `timeout` if the work was not done by `until`, with paid `unknown` unless the model is free
    or a poll has shown the charge.
    """
    assert isinstance(provider, TicketProvider)  # noqa: S101 - only these give tickets
    wait, broken = MIN_WAIT, 0
    seen: ProviderFailure | None = None  # of a poll that found the picture made and charged, and could not fetch it
    while True:
        left = max(until - clock.now(), MIN_POLL_SECONDS)
        image = None
        try:
            image = provider.collect(ticket, task, min(COLLECT_SECONDS, left))
            broken = 0
        except ProviderFailure as failure:
            seen = failure if failure.made else seen
            if failure.code not in (Failure.UNAVAILABLE, Failure.THROTTLED, Failure.TIMEOUT):
                raise _as_charged(failure, seen) from failure
            wait = max(wait, failure.retry_after or 0)
        except Exception as error:
            broken += 1
            unread = _broken(error, task)
            if broken == MAX_BROKEN:
                raise _as_charged(unread, seen) from error
        if image is not None:
            return image if image.cost_usd is not None else replace(image, cost_usd=ticket.cost_usd)
        left = until - clock.now()
        if left <= 0:
            late = ProviderFailure(Failure.TIMEOUT, "the work was accepted but not done in time", paid=_at_worst(task))
            raise _as_charged(late, seen)
        clock.sleep(min(wait, left))
        wait = min(wait * 1.5, MAX_WAIT)


def _wall(task: ImageTask) -> AbstractContextManager[None]:
    """Around a call: an unexpected error in the provider's module ends it with an unknown outcome."""
    return failure_boundary.wall(*_UNREAD[_at_worst(task)], paid=_at_worst(task))


def _broken(error: Exception, task: ImageTask) -> ProviderFailure:
    return failure_boundary.broken(error, *_UNREAD[_at_worst(task)], paid=_at_worst(task))


def _at_worst(task: ImageTask) -> Paid:
    """The `paid` of a call whose outcome is unknown."""
    return "unknown" if task.card.price_usd > 0 else "no"


def _as_charged(failure: ProviderFailure, seen: ProviderFailure | None) -> ProviderFailure:
    """The failure with the charge that an earlier poll has shown."""
    if seen is not None and not failure.made:
        failure.paid, failure.made, failure.cost_usd = "unknown", True, seen.cost_usd
    return failure


def may_collect(provider: AnyProvider, ticket: str | None) -> bool:
    """Whether work can be polled: by its ticket, or by our own id although the provider's answer was lost.

    A provider that issued the ticket may answer at once now: a GPU endpoint may have been replaced by another kind.
    """
    return isinstance(provider, TicketProvider) and (bool(ticket) or provider.client_chooses_id)


def may_leave(provider: AnyProvider) -> bool:
    """Whether the provider notifies of completion, so that no worker has to poll."""
    return isinstance(provider, TicketProvider) and provider.notifies_completion


def retry_wait(failure: ProviderFailure, number: int) -> float | None:
    """Seconds until try `number` + 1: the provider's own hint, else full jitter; `None` where none is due.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    if not CONSEQUENCES[failure.code].retry or failure.paid != "no" or number >= MAX_TRIES:
        return None
    if failure.retry_after is not None:
        return failure.retry_after
    return random.uniform(0, 0.5 * 2**number)

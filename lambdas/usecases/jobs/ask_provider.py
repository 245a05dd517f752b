"""Ask one provider for one image, whether it answers at once or gives a ticket to ask after."""

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

MAX_TRIES = 3  # of one image at one provider, where a try surely cost nothing
SUBMIT_SECONDS = 20.0
COLLECT_SECONDS = 20.0
LOOK_SECONDS = 2.0  # what the last look at a ticket is given, however late it is
MIN_WAIT, MAX_WAIT = 0.5, 3.0  # between two looks, growing
MAX_BROKEN = 3  # looks in a row whose answer the provider's module could not read
STAY_SECONDS = 60.0  # that a worker stays at work of which it will be told when it is done

Asked = Provider | TicketProvider

_UNREAD: Final[dict[Paid, tuple[Failure, str]]] = {
    "unknown": (Failure.OUTCOME_UNKNOWN, "the answer to a paid call could not be read"),
    "no": (Failure.BAD_ANSWER, "the answer could not be read"),
}


def ask(
    provider: Asked, order: ImageTask, until: float, clock: Clock, accepted: Callable[[Ticket], None]
) -> GeneratedImage:
    """The image, before `until` (Unix seconds). `accepted` stores a ticket before anything else happens.

    Raises ProviderFailure.
    """
    left = until - clock.now()
    if left <= 0:
        raise ProviderFailure(Failure.TIMEOUT, "there was no time left to ask")
    if not isinstance(provider, TicketProvider):
        with _wall(order):
            return provider.paint(order, left)
    try:
        with _wall(order):
            ticket = provider.submit(order, min(SUBMIT_SECONDS, left))
    except ProviderFailure as failure:
        if failure.paid != "unknown" or not provider.client_chooses_id:
            raise
        ticket = Ticket(order.id)  # it may have been accepted: by our own id that can be found out
    accepted(ticket)
    return collect(provider, ticket, order, until, clock)


def collect(provider: Asked, ticket: Ticket, order: ImageTask, until: float, clock: Clock) -> GeneratedImage:
    """Ask after a ticket until its work is done; a look that fails is free and made again.

    However late it is, or however long a wait is asked for, there is a look at the end: the work may be done and paid.
    Raises ProviderFailure: `timeout` where the work was not done by `until`, paid `unknown` unless the model is free,
    or a look has shown what was charged.
    """
    assert isinstance(provider, TicketProvider)  # noqa: S101 - only these give tickets
    wait, broken = MIN_WAIT, 0
    seen: ProviderFailure | None = None  # of a look that found the picture made and charged, and could not bring it
    while True:
        left = max(until - clock.now(), LOOK_SECONDS)
        painted = None
        try:
            painted = provider.collect(ticket, order, min(COLLECT_SECONDS, left))
            broken = 0
        except ProviderFailure as failure:
            seen = failure if failure.made else seen
            if failure.code not in (Failure.UNAVAILABLE, Failure.THROTTLED, Failure.TIMEOUT):
                raise _as_charged(failure, seen) from failure
            wait = max(wait, failure.retry_after or 0)
        except Exception as error:
            broken += 1
            unread = _broken(error, order)
            if broken == MAX_BROKEN:
                raise _as_charged(unread, seen) from error
        if painted is not None:
            return painted if painted.cost_usd is not None else replace(painted, cost_usd=ticket.cost_usd)
        left = until - clock.now()
        if left <= 0:
            late = ProviderFailure(Failure.TIMEOUT, "the work was accepted but not done in time", paid=_at_worst(order))
            raise _as_charged(late, seen)
        clock.sleep(min(wait, left))
        wait = min(wait * 1.5, MAX_WAIT)


def _wall(order: ImageTask) -> AbstractContextManager[None]:
    """Around a call: whatever breaks in the provider's module ends it as one of which nobody knows the end."""
    return failure_boundary.wall(*_UNREAD[_at_worst(order)], paid=_at_worst(order))


def _broken(error: Exception, order: ImageTask) -> ProviderFailure:
    return failure_boundary.broken(error, *_UNREAD[_at_worst(order)], paid=_at_worst(order))


def _at_worst(order: ImageTask) -> Paid:
    """The `paid` of a call of which nothing is known."""
    return "unknown" if order.card.price_usd > 0 else "no"


def _as_charged(failure: ProviderFailure, seen: ProviderFailure | None) -> ProviderFailure:
    """The failure with what an earlier look has shown to be charged."""
    if seen is not None and not failure.made:
        failure.paid, failure.made, failure.cost_usd = "unknown", True, seen.cost_usd
    return failure


def may_collect(provider: Asked, ticket: str | None) -> bool:
    """Whether work can be asked after: by its ticket, or by our own id even when the provider's answer was never seen.

    A provider may have given tickets once and paint now: a GPU endpoint of another kind took the place of its own.
    """
    return isinstance(provider, TicketProvider) and (bool(ticket) or provider.client_chooses_id)


def may_leave(provider: Asked) -> bool:
    """Whether somebody will say when work at the provider is done, so that nobody has to stay for it."""
    return isinstance(provider, TicketProvider) and provider.notifies_completion


def wait_before_retry(failure: ProviderFailure, number: int) -> float | None:
    """Seconds until try `number` + 1: the provider's own hint, else full jitter; `None` where none is due.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    if not CONSEQUENCES[failure.code].retry or failure.paid != "no" or number >= MAX_TRIES:
        return None
    if failure.retry_after is not None:
        return failure.retry_after
    return random.uniform(0, 0.5 * 2**number)

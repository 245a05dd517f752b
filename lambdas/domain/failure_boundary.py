"""The last wall between a provider's answer and the books: what breaks is a failure that says what was paid."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from lambdas.domain.errors import ServiceError
from lambdas.domain.failures import Failure, Paid, ProviderFailure

log = logging.getLogger(__name__)


def broken(error: Exception, code: Failure, said: str, *, paid: Paid) -> ProviderFailure:
    """The failure that stands for an error nobody foresaw, which is logged with its trace.

    Its own words are not logged: they may quote a prompt, an answer or a key.
    """
    kind = type(error)
    nameless = RuntimeError(kind.__name__)
    log.error("%s: %s", said, kind.__name__, exc_info=(RuntimeError, nameless, error.__traceback__))
    return ProviderFailure(code, said, paid=paid)


@contextmanager
def wall(code: Failure, said: str, *, paid: Paid, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Whatever breaks in here is a ProviderFailure of this code; the service's own errors and those `passing` pass."""
    try:
        yield
    except Exception as error:
        if isinstance(error, (ProviderFailure, ServiceError, *passing)):
            raise
        raise broken(error, code, said, paid=paid) from error


def unsent(who: str, *passing: type[Exception]) -> AbstractContextManager[None]:
    """Around the making of a request: what breaks in here has surely cost nothing."""
    return wall(Failure.FAILED, f"the request to {who} could not be made", paid="no", passing=passing)


@contextmanager
def charged(cost_usd: float | None) -> Iterator[None]:
    """Around what is done with an answer that has a picture: what fails in here fails after the picture was paid for.

    `cost_usd` is the provider's own figure; `None` where it gives none, and its list price holds.
    """
    try:
        with wall(Failure.BAD_ANSWER, "the answer could not be read", paid="unknown"):
            yield
    except ProviderFailure as failure:
        failure.paid, failure.made = "unknown", True
        if failure.cost_usd is None:
            failure.cost_usd = cost_usd
        raise


@contextmanager
def keeping(answer: bytes) -> Iterator[None]:
    """Around the reading of a paid call's answer: one that cannot be read goes with the failure, to be kept."""
    try:
        with wall(Failure.BAD_ANSWER, "the answer could not be read", paid="unknown"):
            yield
    except ProviderFailure as failure:
        if failure.code == Failure.BAD_ANSWER:
            failure.answer = answer
        raise

"""Turns unexpected errors around a provider's call into failures that state whether the call was charged."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from lambdas.domain.errors import ServiceError
from lambdas.domain.failures import Failure, Paid, ProviderFailure

log = logging.getLogger(__name__)


def broken(error: Exception, code: Failure, said: str, *, paid: Paid) -> ProviderFailure:
    """Return the failure for an unexpected error, and log the error with its traceback.

    The error's message is not logged: it may contain a prompt, an answer or a key.
    """
    kind = type(error)
    nameless = RuntimeError(kind.__name__)
    log.error("%s: %s", said, kind.__name__, exc_info=(RuntimeError, nameless, error.__traceback__))
    return ProviderFailure(code, said, paid=paid)


@contextmanager
def wall(code: Failure, said: str, *, paid: Paid, passing: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn an error into a ProviderFailure of this code, except ServiceError, ProviderFailure and `passing`."""
    try:
        yield
    except Exception as error:
        if isinstance(error, (ProviderFailure, ServiceError, *passing)):
            raise
        raise broken(error, code, said, paid=paid) from error


def unsent(who: str, *passing: type[Exception]) -> AbstractContextManager[None]:
    """Around the making of a request: an error there has certainly cost nothing."""
    return wall(Failure.FAILED, f"the request to {who} could not be made", paid="no", passing=passing)


@contextmanager
def charged(cost_usd: float | None) -> Iterator[None]:
    """Around the processing of an answer with a picture: an error there occurs after the picture was charged.

    `cost_usd` is the provider's own figure; `None` if it gives none and the list price applies.
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
    """Around the reading of a paid call's answer: an unreadable one is attached to the failure, to be stored."""
    try:
        with wall(Failure.BAD_ANSWER, "the answer could not be read", paid="unknown"):
            yield
    except ProviderFailure as failure:
        if failure.code == Failure.BAD_ANSWER:
            failure.answer = answer
        raise

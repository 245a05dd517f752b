"""Creates and caches the AWS clients of the adapters; their calls raise Unavailable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from lambdas.domain.errors import Unavailable
from lambdas.egress import aws as egress

CONNECT_SECONDS: Final = 3.0
# Error codes below status 500 of a service that is throttling or busy.
_NO_ROOM: Final = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)


@cache
def client(service: str, *, read_timeout: float = 5.0, attempts: int = 3) -> Any:
    """Return a client with explicit timeouts. `attempts` counts the first one: 1 means that nothing is sent twice.

    A call raises Unavailable, from botocore's error, if the service cannot be reached or is busy at every attempt. The
    operation may have been executed nevertheless.
    """
    connect = min(CONNECT_SECONDS, read_timeout)
    made = egress.client(service, connect_timeout=connect, read_timeout=read_timeout, attempts=attempts)
    made.meta.events.register("after-call", _answered)
    made.meta.events.register("after-call-error", _unanswered)
    return made


def dynamodb_once() -> Any:
    """Return a DynamoDB client with a short timeout that sends nothing twice."""
    return client("dynamodb", read_timeout=3.0, attempts=1)


def failures() -> tuple[type[Exception], ...]:
    """Return the exceptions of a call that failed for any reason, for an `except` clause."""
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError, Unavailable


def surely_not_done(error: Unavailable) -> bool:
    """Return whether the call that raised this has certainly changed nothing: it was not sent, or was throttled."""
    from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

    cause = error.__cause__
    if isinstance(cause, ClientError):
        return bool(cause.response["ResponseMetadata"]["HTTPStatusCode"] < 500)
    return isinstance(cause, (ConnectTimeoutError, EndpointConnectionError))


@contextmanager
def reading() -> Iterator[None]:
    """Around the reading of a response's body: raise Unavailable if the connection breaks."""
    from botocore.exceptions import HTTPClientError, IncompleteReadError

    try:
        yield
    except (HTTPClientError, IncompleteReadError) as error:
        raise _unavailable("s3") from error


def _answered(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
    if http_response.status_code < 300:
        return
    if http_response.status_code < 500 and parsed.get("Error", {}).get("Code") not in _NO_ROOM:
        return
    from botocore.exceptions import ClientError

    raise _unavailable(model.service_model.service_name) from ClientError(parsed, model.name)


def _unanswered(exception: Exception, event_name: str, **_: Any) -> None:
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.exceptions import HTTPClientError
    from botocore.parsers import ResponseParserError

    if isinstance(exception, (HTTPClientError, NoConnection, ResponseParserError)):
        raise _unavailable(event_name.split(".")[1]) from exception


def _unavailable(service: str) -> Unavailable:
    return Unavailable(f"a service behind this one ({service}) does not answer; try again in a moment", retry_after=5)

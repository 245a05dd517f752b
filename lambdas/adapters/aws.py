"""AWS clients of the ports, each made on first use and kept, whose calls raise Unavailable."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

from lambdas.domain.errors import Unavailable
from lambdas.egress import aws as egress

CONNECT_SECONDS: Final = 3.0
# Error codes of a service that has no room now, below status 500.
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
    """A client with explicit limits. `attempts` counts the first one: 1 means that nothing is sent twice.

    Its calls raise Unavailable, from botocore's error, where the service cannot be reached or has no room after all
    of them. What they ask for may then have been done nevertheless.
    """
    connect = min(CONNECT_SECONDS, read_timeout)
    made = egress.client(service, connect_timeout=connect, read_timeout=read_timeout, attempts=attempts)
    made.meta.events.register("after-call", _answered)
    made.meta.events.register("after-call-error", _unanswered)
    return made


def dynamodb_once() -> Any:
    """DynamoDB for what nothing may wait for long, and for writes that must not be sent twice."""
    return client("dynamodb", read_timeout=3.0, attempts=1)


def surely_not_done(error: Unavailable) -> bool:
    """Whether the call that raised this surely changed nothing: it never left, or was refused for want of room."""
    from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

    cause = error.__cause__
    if isinstance(cause, ClientError):
        return bool(cause.response["ResponseMetadata"]["HTTPStatusCode"] < 500)
    return isinstance(cause, (ConnectTimeoutError, EndpointConnectionError))


@contextmanager
def reading() -> Iterator[None]:
    """An answer's body is read in here. Raises Unavailable where it breaks off."""
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

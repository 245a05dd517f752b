"""Injects faults between botocore and moto: each call has a name, and a plan names those that fail.

A call is what the service asks of botocore; botocore may send it several times. Its name is made of the service, the
operation and the number of this operation among the calls so far: `dynamodb-PutItem-2`.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

Effect = Callable[[Any], Any]  # what a call does, for a service that is not emulated: the answer's body as JSON

# How each service says that it has no room: the status, and the error's code.
THROTTLE = {
    "dynamodb": (400, "ProvisionedThroughputExceededException"),
    "lambda": (429, "TooManyRequestsException"),
    "s3": (503, "SlowDown"),
    "secrets-manager": (400, "ThrottlingException"),
    "sqs": (403, "RequestThrottled"),
}
BROKEN = {
    "dynamodb": (500, "InternalServerError"),
    "lambda": (500, "ServiceException"),
    "s3": (503, "ServiceUnavailable"),
    "secrets-manager": (500, "InternalServiceError"),
    "sqs": (503, "ServiceUnavailable"),
}
# Before the call takes effect, but for the last one: there it does, and its answer is lost.
FAULTS = ("throttle", "broken", "refused", "reset", "timeout", "lost")


@dataclass
class Plan:
    """`call` fails by `fault`: its first sending, or all of them.

    `dynamodb-*` are all calls of a service, of one `table` where that is given.
    """

    call: str
    fault: str
    persistent: bool
    table: str = ""
    met: int = 0

    def hits(self, call: str, sending: int, body: Any) -> bool:
        service = self.call.endswith("*") and call.startswith(self.call[:-1])
        if service and self.table:
            service = f'"{self.table}"'.encode() in body
        return (call == self.call or service) and (self.persistent or sending == 1)


@dataclass
class Injector:
    """`effects`: the services that are played here, by `service.operation`."""

    effects: dict[str, Effect] = field(default_factory=dict)
    plan: Plan | None = None
    calls: list[str] = field(default_factory=list)
    watching: bool = False
    _names: dict[str, str] = field(default_factory=dict)
    _sendings: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def watched(self, plan: Plan | None = None) -> Iterator[None]:
        """Calls are named from here on, and fail as the plan says."""
        self.calls, self._names, self.plan, self.watching = [], {}, plan, True
        self._sendings.clear()
        try:
            yield
        finally:
            self.plan, self.watching = None, False

    def send(self, real: Effect, event_name: str, request: Any) -> Any:
        _, service, operation = event_name.split(".")

        def act() -> Any:
            effect = self.effects.get(f"{service}.{operation}")
            return _answer(request, 200, json.dumps(effect(request))) if effect else real(request)

        if not self.watching:
            return act()
        call, sending = self._named(f"{service}-{operation}", request.headers["amz-sdk-invocation-id"])
        plan = self.plan
        if plan is None or not plan.hits(call, sending, request.body):
            return act()
        plan.met += 1
        return _failed(plan.fault, service, request, act)

    def _named(self, operation: str, invocation: Any) -> tuple[str, int]:
        with self._lock:
            if invocation not in self._names:
                number = 1 + sum(call.rpartition("-")[0] == operation for call in self.calls)
                self._names[invocation] = f"{operation}-{number}"
                self.calls.append(self._names[invocation])
            self._sendings[invocation] += 1
            return self._names[invocation], self._sendings[invocation]


def _failed(fault: str, service: str, request: Any, act: Callable[[], Any]) -> Any:
    url = request.url
    if fault == "throttle":
        return _error(request, service, *THROTTLE[service])
    if fault == "broken":
        return _error(request, service, *BROKEN[service])
    if fault == "refused":
        raise EndpointConnectionError(endpoint_url=url)
    if fault == "reset":
        raise ConnectionClosedError(endpoint_url=url)
    if fault == "lost":
        act()
    raise ReadTimeoutError(endpoint_url=url)


def _error(request: Any, service: str, status: int, code: str) -> AWSResponse:
    if service == "s3":
        return _answer(request, status, f"<Error><Code>{code}</Code><Message>no</Message></Error>")
    return _answer(request, status, json.dumps({"__type": code, "message": "no"}), {"x-amzn-errortype": code})


def _answer(request: Any, status: int, body: str, headers: dict[str, str] | None = None) -> AWSResponse:
    return AWSResponse(request.url, status, headers or {}, MockRawResponse(body))


def sent_to_queue(request: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A SendMessage as it was asked for, and its answer."""
    asked = json.loads(request.body)
    digest = hashlib.md5(asked["MessageBody"].encode()).hexdigest()
    return asked, {"MessageId": "m", "MD5OfMessageBody": digest}


def install(patch: pytest.MonkeyPatch, injector: Injector) -> None:
    """Between botocore and moto; nothing waits between two sendings, and there are always tokens for one more."""
    real = BotocoreStubber.__call__

    def called(stubber: BotocoreStubber, event_name: str, request: Any, **more: Any) -> Any:
        return injector.send(lambda asked: real(stubber, event_name, asked, **more), event_name, request)

    patch.setattr(BotocoreStubber, "__call__", called)
    patch.setattr("time.sleep", lambda _seconds: None)
    patch.setattr("botocore.retries.quota.RetryQuota.acquire", lambda _quota, _amount: True)

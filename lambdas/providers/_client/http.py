"""Makes the providers' HTTP calls, and maps their failures to ProviderFailure."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from lambdas.domain import failure_boundary
from lambdas.domain.failures import Failure, Paid, ProviderFailure
from lambdas.egress import retry_after, wire
from lambdas.providers._client.hostile_json import parsed

MAX_BYTES: Final = 25_000_000
MAX_RETRY_AFTER: Final = 3600.0
MAX_QUOTE: Final = 200
MAX_PRICE: Final = 100.0  # of one picture, in USD; a greater amount is invalid
MAX_SEED: Final = 2**63 - 1  # of a service's answer; a greater number is invalid, and could not be stored
NO_HEADERS: Final[Mapping[str, str]] = {}

# By HTTP status: the failure, whether a paid call may have been charged, and the end of a sentence about the service.
# Every other status counts as 400 or 500.
STATUSES: Final[dict[int, tuple[Failure, Paid, str]]] = {
    400: (Failure.INVALID_REQUEST, "no", "did not accept the request"),
    401: (Failure.NOT_AUTHORIZED, "no", "did not accept our key"),
    402: (Failure.OUT_OF_CREDIT, "no", "says that our account is out of credit"),
    403: (Failure.NOT_AUTHORIZED, "no", "did not accept our key"),
    404: (Failure.MODEL_GONE, "no", "does not know the model"),
    408: (Failure.TIMEOUT, "unknown", "took too long"),
    410: (Failure.MODEL_GONE, "no", "has ended the model"),
    429: (Failure.THROTTLED, "no", "is throttling this account"),
    500: (Failure.FAILED, "unknown", "had an internal error"),
    502: (Failure.FAILED, "unknown", "had an internal error"),
    503: (Failure.UNAVAILABLE, "no", "is not available now"),
    504: (Failure.TIMEOUT, "unknown", "took too long"),
    # Cloudflare's: 521 to 523 did not reach the service behind it, 524 got no answer from it.
    521: (Failure.UNAVAILABLE, "no", "is not available now"),
    522: (Failure.UNAVAILABLE, "no", "is not available now"),
    523: (Failure.UNAVAILABLE, "no", "is not available now"),
    524: (Failure.TIMEOUT, "unknown", "took too long"),
    529: (Failure.UNAVAILABLE, "no", "is overloaded"),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response. `paid`: the call may have been charged."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)
    paid: bool = False

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def charged(self) -> Paid:
        """The `paid` of a failure that is raised for this answer."""
        return "unknown" if self.paid else "no"

    def json(self, who: str) -> Any:
        """Return the body as JSON of any type. Raises ProviderFailure(bad_answer)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise ProviderFailure(Failure.BAD_ANSWER, f"{who} answered with no JSON", paid=self.charged) from None

    @property
    def retry_after(self) -> float | None:
        """The seconds of Retry-After, which is a number or a date."""
        return retry_after.seconds(self.headers.get("retry-after", ""), MAX_RETRY_AFTER, self.headers.get("date", ""))

    @property
    def from_in_front(self) -> bool:
        """Whether an error comes from a proxy in front of the service, by its HTML page or its headers.

        An empty or plain text error may be the service's own: see `failure` for services that send only JSON.
        """
        if self.status < 400:
            return False
        page = self.body[:200].lstrip().lower()
        return (
            self.status == 407  # a proxy wants a password
            or "cf-mitigated" in self.headers
            or "text/html" in self.headers.get("content-type", "").lower()
            or page.startswith((b"<!doctype", b"<html", b"<head", b"error code: 1"))
        )


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] = NO_HEADERS,
    body: bytes | None = None,
    timeout: float,
    max_bytes: int = MAX_BYTES,
    paid: bool = False,
    who: str,
) -> Answer:
    """Make one exchange within `timeout` seconds in total, never repeated. Any HTTP status is an answer.

    Raises ProviderFailure if there is no answer: `unavailable` if nothing was sent, else `timeout`, `bad_answer` (too
    large, or with an encoding that was not requested), or for a broken connection `outcome_unknown` (`unavailable` if
    the call is free). `who` is the service's name in messages. The URL comes from the settings and is not guarded,
    other than that of a picture.
    """
    ends_at = time.monotonic() + timeout
    if timeout <= 0:
        raise ProviderFailure(Failure.TIMEOUT, f"no time was left to call {who}")
    charged: Paid = "unknown" if paid else "no"
    try:
        peer, path = _target(url, ends_at)
        return Answer(*wire.exchange(peer, method, path, headers, body, ends_at=ends_at, max_bytes=max_bytes), paid)
    except wire.NotReachedError as error:
        raise ProviderFailure(Failure.UNAVAILABLE, f"{who} could not be reached: {error}") from error
    except wire.NotSendableError:
        raise ProviderFailure(Failure.NOT_AUTHORIZED, f"our key or address for {who} cannot be used") from None
    except TimeoutError as error:
        raise ProviderFailure(Failure.TIMEOUT, f"{who} did not answer within {timeout:.0f} s", paid=charged) from error
    except wire.TooLargeError as error:
        raise ProviderFailure(Failure.BAD_ANSWER, f"{who} answered too much", paid=charged) from error
    except wire.UnreadableError as error:
        raise ProviderFailure(
            Failure.BAD_ANSWER, f"{who} answered in a coding that is not read", paid=charged
        ) from error
    except (OSError, HTTPException) as error:
        code = Failure.OUTCOME_UNKNOWN if paid else Failure.UNAVAILABLE
        raise ProviderFailure(code, f"the connection to {who} broke before its answer", paid=charged) from error


def post_json(
    url: str,
    payload: Any,
    *,
    headers: Mapping[str, str] = NO_HEADERS,
    timeout: float,
    paid: bool = False,
    who: str,
    max_bytes: int = MAX_BYTES,
) -> Answer:
    """POST the payload as JSON; else as `call`."""
    sent = {"Accept": "application/json", "Content-Type": "application/json", **headers}
    body = json.dumps(payload).encode()
    return call("POST", url, headers=sent, body=body, timeout=timeout, max_bytes=max_bytes, paid=paid, who=who)


def ask(
    method: str,
    url: str,
    payload: Any = None,
    *,
    headers: Mapping[str, str] = NO_HEADERS,
    timeout: float,
    who: str,
    max_bytes: int = MAX_BYTES,
    any_status: bool = False,
) -> Answer:
    """Poll work that was accepted. `any_status`: return any answer, without the check by `settled`.

    Polling is free, so every temporary error is raised as `throttled` or `unavailable`. Its `paid` is `unknown`,
    because the work itself may have been charged.
    """
    try:
        if method == "POST":
            answer = post_json(url, payload, headers=headers, timeout=timeout, max_bytes=max_bytes, who=who)
        else:
            answer = call(method, url, headers=headers, timeout=timeout, max_bytes=max_bytes, who=who)
    except ProviderFailure as failed:
        code = Failure.UNAVAILABLE if failed.code in (Failure.UNAVAILABLE, Failure.TIMEOUT) else failed.code
        raise ProviderFailure(code, failed.detail, paid="unknown") from failed
    answer = replace(answer, paid=True)
    return answer if any_status else settled(answer, who)


def settled(answer: Answer, who: str) -> Answer:
    """Return the answer to a poll if it is about the work; else raise `throttled` or `unavailable`."""
    if answer.status in (408, 425, 429) or answer.status >= 500 or answer.from_in_front:
        code = Failure.THROTTLED if answer.status == 429 else Failure.UNAVAILABLE
        said = f"{who} could not say now what became of the work"
        raise ProviderFailure(code, said, paid="unknown", retry_after=answer.retry_after)
    return answer


def failure(answer: Answer, who: str, said: str = "", *, speaks_json: bool = False) -> ProviderFailure:
    """Map an HTTP error status to a failure; `said` is the service's message, safe to show (see `quote`).

    An error of a proxy in front of the service is `unavailable`, since a proxy knows neither keys nor models.
    `speaks_json`: every error body of the service is JSON, so any other body is a proxy's.
    """
    if answer.status < 400:
        return ProviderFailure(Failure.BAD_ANSWER, f"{who} answered with HTTP {answer.status}", paid=answer.charged)
    code, charged, end = STATUSES.get(answer.status) or STATUSES[500 if answer.status >= 500 else 400]
    in_front = answer.from_in_front or (speaks_json and not _is_json(answer.body))
    if in_front and code not in (Failure.THROTTLED, Failure.TIMEOUT):
        code, end = Failure.UNAVAILABLE, "was not reached: something in front of it refused the call"
    sentence = f"{who} {end}: {said}" if said and code == Failure.INVALID_REQUEST else f"{who} {end}"
    return ProviderFailure(code, sentence, paid=charged if answer.paid else "no", retry_after=answer.retry_after)


def judged(to_failure: Callable[..., ProviderFailure], answer: Answer, who: str, *more: Any) -> ProviderFailure:
    """Return the result of a provider's `to_failure`; if that raises an unexpected error, the failure of the status."""
    try:
        return to_failure(answer, *more)
    except ProviderFailure as failed:
        return failed
    except Exception as error:  # noqa: BLE001 - the status still shows whether the call was charged
        if answer.status < 400:
            return failure_boundary.broken(
                error, Failure.BAD_ANSWER, f"{who} answered in an unknown form", paid=answer.charged
            )
        code, charged, end = STATUSES.get(answer.status) or STATUSES[500 if answer.status >= 500 else 400]
        return failure_boundary.broken(error, code, f"{who} {end}", paid=charged if answer.paid else "no")


def _is_json(body: bytes) -> bool:
    """Return whether the body is a JSON object or list, or empty."""
    return not body.strip() or isinstance(parsed(body), (dict, list))


def quote(text: object, *secrets: str) -> str:
    """Return a service's message as one short printable line without our secrets."""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    for secret in filter(None, secrets):
        line = line.replace(secret, "***")
    return "".join(c for c in line if c.isprintable())[:MAX_QUOTE]


def dollars(amount: object) -> float | None:
    """Read an amount in USD from a number or text; `None` if it is invalid."""
    if isinstance(amount, str):
        amount = float(amount) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,20})?", amount, re.ASCII) else None
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not 0 <= amount < MAX_PRICE:
        return None
    return float(amount)


def seed(used: object) -> int | None:
    """Read a seed from a number or text; `None` if it is invalid."""
    if isinstance(used, str) and re.fullmatch(r"[0-9]{1,19}", used):
        used = int(used)
    return used if type(used) is int and 0 <= used <= MAX_SEED else None


def _target(url: str, ends_at: float) -> tuple[wire.Peer, str]:
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise wire.NotSendableError from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise wire.NotSendableError
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    addresses = wire.resolve(parts.hostname, port, ends_at)
    return wire.Peer(parts.scheme == "https", parts.hostname, port, addresses), path

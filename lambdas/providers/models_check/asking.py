"""Makes free calls to HTTP services; a call returns JSON or raises ProviderFailure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from lambdas import USER_AGENT
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.egress.deadline import within
from lambdas.providers._client import http
from lambdas.providers._client.hostile_json import items, mapping, mappings, parsed

MAX_BYTES: Final = 40_000_000  # the list of nodes of a ComfyUI with many extensions has several megabytes
CHUNK: Final = 65536


def get(url: str, headers: Mapping[str, str], ends_at: float, who: str, secret: str = "") -> Any:
    """Return the JSON of a GET request, of any type."""
    answer = call("GET", url, headers, ends_at, who)
    if answer.status != 200:
        raise refused(answer, who, secret)
    return answer.json(who)


def call(
    method: str, url: str, headers: Mapping[str, str], ends_at: float, who: str, payload: Any = None
) -> http.Answer:
    """Make one exchange that ends by `ends_at`. Any status is an answer; redirects are not followed."""
    import requests  # neither it nor this module is in the functions' package

    left = ends_at - time.monotonic()
    sent = {"User-Agent": USER_AGENT, "Accept": "application/json", **headers}

    def exchange() -> http.Answer:
        with requests.Session() as session:
            session.trust_env = False  # a .netrc would replace our key
            with session.request(
                method, url, headers=sent, json=payload, timeout=left, allow_redirects=False, stream=True
            ) as response:
                body = bytearray()
                for chunk in response.iter_content(CHUNK):
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise ProviderFailure(Failure.BAD_ANSWER, f"{who} answered too much")
                received = {name.lower(): value for name, value in response.headers.items()}
                return http.Answer(response.status_code, received, bytes(body))

    if left <= 0:
        raise ProviderFailure(Failure.TIMEOUT, f"no time was left to ask {who}")
    try:
        return within(left, exchange)
    except (TimeoutError, requests.Timeout):
        raise ProviderFailure(Failure.TIMEOUT, f"{who} did not answer within {left:.0f} s") from None
    except (requests.RequestException, ValueError) as error:
        # only the name of the error (SSLError, InvalidHeader): its text may contain our key
        raise ProviderFailure(Failure.UNAVAILABLE, f"{who} could not be asked ({type(error).__name__})") from None


def refused(answer: http.Answer, who: str, secret: str = "") -> ProviderFailure:
    """Return a failure with the service's message, not classified as for an image."""
    said = http.quote(_words(answer.body), secret)
    return ProviderFailure(Failure.FAILED, f"{who} answered HTTP {answer.status}" + (f": {said}" if said else ""))


def rows(answer: Any, name: str, who: str) -> list[dict[str, Any]]:
    """Return the objects of the list of that name. Raises ProviderFailure if there is no such list."""
    found = mapping(answer).get(name)
    if not isinstance(found, list):
        raise ProviderFailure(Failure.BAD_ANSWER, f"{who} answered in an unknown form")
    return mappings(found)


def texts(values: Iterable[object]) -> set[str]:
    return {value for value in values if isinstance(value, str)}


def _words(body: bytes) -> object:
    """Return the message of an error of any of these services."""
    told = mapping(parsed(body))
    error = next(iter(items(told.get("errors"))), told.get("error"))
    return mapping(error).get("message") if isinstance(error, dict) else error

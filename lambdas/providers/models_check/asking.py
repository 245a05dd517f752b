"""Free questions to HTTP services: the answer's JSON, or a ProviderFailure that says why there is none."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from lambdas.domain.errors import ProviderFailure
from lambdas.providers._client import http
from lambdas.providers._client.hostile_json import items, mapping, mappings, parsed

MAX_BYTES: Final = 40_000_000  # the list of nodes of a ComfyUI with many extensions has several megabytes


def get(url: str, headers: Mapping[str, str], ends_at: float, who: str, secret: str = "") -> Any:
    """The answer to a GET, of any form."""
    left = ends_at - time.monotonic()
    sent = {"Accept": "application/json", **headers}
    answer = http.call("GET", url, headers=sent, timeout=left, max_bytes=MAX_BYTES, who=who)
    if answer.status != 200:
        raise refused(answer, who, secret)
    return answer.json(who)


def refused(answer: http.Answer, who: str, secret: str = "") -> ProviderFailure:
    """A refusal in the service's own words; what it means for a picture is not asked here."""
    said = http.quote(_words(answer.body), secret)
    return ProviderFailure("failed", f"{who} answered HTTP {answer.status}" + (f": {said}" if said else ""))


def rows(answer: Any, name: str, who: str) -> list[dict[str, Any]]:
    """The objects of the list of that name."""
    found = mapping(answer).get(name)
    if not isinstance(found, list):
        raise ProviderFailure("bad_answer", f"{who} answered in an unknown form")
    return mappings(found)


def texts(values: Iterable[object]) -> set[str]:
    return {value for value in values if isinstance(value, str)}


def _words(body: bytes) -> object:
    """The message of an error of any of these services."""
    told = mapping(parsed(body))
    error = next(iter(items(told.get("errors"))), told.get("error"))
    return mapping(error).get("message") if isinstance(error, dict) else error

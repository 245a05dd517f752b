"""Fetching a picture from an address that a provider named, which is hostile until checked: only from public hosts."""

from __future__ import annotations

import time
from http.client import HTTPException
from typing import Final
from urllib.parse import urljoin

from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.egress import guard, wire

MAX_IMAGE: Final = 40_000_000
MAX_REDIRECTS: Final = 3
TRIES: Final = 3
PAUSE_SECONDS: Final = 0.3
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class _BarredError(Exception):
    """The address is not one to fetch from, whatever is there."""


class _NoPictureError(Exception):
    """This try failed; another may not."""


def trusted_hosts(base_url: str, default: str) -> frozenset[guard.Origin]:
    """Host and port of a provider address that the operator has overridden; none where it is the service's own."""
    found = guard.origin(base_url)
    return frozenset({found}) if found and found != guard.origin(default) else frozenset()


def fetch_image(
    url: str,
    *,
    timeout: float,
    trusted: frozenset[guard.Origin] = frozenset(),
    allow_private: bool = False,
    who: str,
    later: Failure = Failure.OUTCOME_UNKNOWN,
) -> bytes:
    """The bytes at `url`, unchecked but for their number, within `timeout` seconds in all.

    The name is resolved once, every address it has must be public, and one of those is connected to; so too at
    each redirect. `trusted` hosts may be private and plain http. The picture is paid for already: what may pass
    is tried again a little later, then raised as the code `later`; an address that is barred is a `bad_answer`.
    """
    ends_at = time.monotonic() + timeout
    try:
        for tries_left in range(TRIES, 0, -1):
            # A share of the time for each, so that one that hangs leaves some to the next.
            try_ends_at = time.monotonic() + (ends_at - time.monotonic()) / tries_left
            try:
                return _fetch(url, try_ends_at, trusted, allow_private=allow_private)
            except _NoPictureError:
                time.sleep(max(0.0, min(PAUSE_SECONDS, ends_at - time.monotonic())))
    except _BarredError as barred:
        said = f"the picture of {who} cannot be fetched: {barred}"
        raise ProviderFailure(Failure.BAD_ANSWER, said, paid="unknown") from None
    raise ProviderFailure(later, f"the picture of {who} could not be fetched", paid="unknown")


def _fetch(url: str, ends_at: float, trusted: frozenset[guard.Origin], *, allow_private: bool) -> bytes:
    for _ in range(MAX_REDIRECTS + 1):
        try:
            target = guard.target(url, trusted=trusted, allow_private=allow_private)
            peer = guard.peer(target, ends_at)
            status, headers, body = wire.exchange(
                peer, "GET", target.path, {"Accept": "image/*"}, None, ends_at=ends_at, max_bytes=MAX_IMAGE
            )
        except guard.BarredError as barred:
            raise _BarredError(str(barred)) from None
        except wire.TooLargeError:
            raise _BarredError("it is too large") from None
        except wire.NotSendableError:
            raise _BarredError(guard.FAULTS["invalid"]) from None
        except (wire.NotReachedError, wire.UnreadableError, OSError, HTTPException) as error:
            raise _NoPictureError from error
        if status == 200:
            return body
        if status not in REDIRECTS:
            raise _NoPictureError(f"HTTP {status}")  # also a 404: a CDN may be a moment behind its service
        try:
            url = urljoin(url, headers.get("location", ""))
        except ValueError:
            raise _BarredError(guard.FAULTS["invalid"]) from None
    raise _BarredError("it is redirected too often")

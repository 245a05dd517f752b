"""Downloads a picture from a URL of a provider's answer, from public hosts only, since the URL is untrusted."""

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
    """The URL must not be fetched."""


class _NoPictureError(Exception):
    """This try failed; another one may succeed."""


def trusted_hosts(base_url: str, default: str) -> frozenset[guard.Origin]:
    """Return host and port of a provider's base URL if the operator has overridden it; else nothing."""
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
    """Return the bytes at `url`, of which only the number is checked, within `timeout` seconds in total.

    The name is resolved once, all its addresses must be public, and one of these is connected to; the same at each
    redirect. `trusted` hosts may be private and use plain http. The picture is already paid, so a temporary error is
    tried again and then raised with the code `later`. A barred URL raises `bad_answer`.
    """
    ends_at = time.monotonic() + timeout
    try:
        for tries_left in range(TRIES, 0, -1):
            # each try has a share of the time, so that one that hangs leaves time for the next
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
            raise _NoPictureError(f"HTTP {status}")  # also a 404: a CDN may lag behind its service
        try:
            url = urljoin(url, headers.get("location", ""))
        except ValueError:
            raise _BarredError(guard.FAULTS["invalid"]) from None
    raise _BarredError("it is redirected too often")

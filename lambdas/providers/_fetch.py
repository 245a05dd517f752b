"""Fetching a picture from an address that a provider named, which is hostile until checked: only from public hosts."""

from __future__ import annotations

import ipaddress
import time
from http.client import HTTPException
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

from lambdas.domain.errors import ProviderFailure
from lambdas.providers import _wire

MAX_IMAGE: Final = 40_000_000
MAX_REDIRECTS: Final = 3
TRIES: Final = 3
PAUSE_SECONDS: Final = 0.3
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

_V4_BARRED: Final = [
    ipaddress.IPv4Network(net)
    for net in ("192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4", "240.0.0.0/4")  # `is_global` differs by Python version
]
# Of IPv6 only what is given out to hosts, less: protocol assignments with Teredo, documentation, 6to4, documentation.
_V6_GIVEN_OUT: Final = ipaddress.IPv6Network("2000::/3")
_V6_BARRED: Final = [ipaddress.IPv6Network(net) for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
_V6_WITH_V4: Final = [ipaddress.IPv6Network(net) for net in ("::ffff:0:0/96", "64:ff9b::/96")]  # mapped, NAT64


class _BarredError(Exception):
    """The address is not one to fetch from, whatever is there."""


class _NoPictureError(Exception):
    """This try failed; another may not."""


def is_public(address: str) -> bool:
    """Whether the address is a host of the public internet, in whatever form an IPv4 address is wrapped."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in net for net in _V6_WITH_V4):
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        return ip.is_global and ip in _V6_GIVEN_OUT and not any(ip in net for net in _V6_BARRED)
    return ip.is_global and not any(ip in net for net in _V4_BARRED)


def trusted_hosts(base_url: str, default: str) -> frozenset[str]:
    """The host of a provider address that the operator has overridden; no host where it is the service's own."""
    host = urlsplit(base_url).hostname
    return frozenset({host}) if host and host != urlsplit(default).hostname else frozenset()


def fetch_image(
    url: str,
    *,
    timeout: float,
    trusted: frozenset[str] = frozenset(),
    allow_private: bool = False,
    who: str,
    later: str = "outcome_unknown",
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
        raise ProviderFailure("bad_answer", said, paid="unknown") from None
    raise ProviderFailure(later, f"the picture of {who} could not be fetched", paid="unknown")


def _fetch(url: str, ends_at: float, trusted: frozenset[str], *, allow_private: bool) -> bytes:
    for _ in range(MAX_REDIRECTS + 1):
        try:
            peer, path = _checked(url, ends_at, trusted, allow_private=allow_private)
            status, headers, body = _wire.exchange(
                peer, "GET", path, {"Accept": "image/*"}, None, ends_at=ends_at, max_bytes=MAX_IMAGE
            )
        except _wire.TooLargeError:
            raise _BarredError("it is too large") from None
        except _wire.NotSendableError:
            raise _BarredError("its address is not valid") from None
        except (_wire.NotReachedError, OSError, HTTPException) as error:
            raise _NoPictureError from error
        if status == 200:
            return body
        if status not in REDIRECTS:
            raise _NoPictureError(f"HTTP {status}")  # also a 404: a CDN may be a moment behind its service
        try:
            url = urljoin(url, headers.get("location", ""))
        except ValueError:
            raise _BarredError("its address is not valid") from None
    raise _BarredError("it is redirected too often")


def _checked(url: str, ends_at: float, trusted: frozenset[str], *, allow_private: bool) -> tuple[_wire.Peer, str]:
    """Whom to connect to for this URL and what to ask for. Raises _BarredError."""
    # Readers of URLs disagree about these, and no honest address has them.
    if "\\" in url or any(c <= " " or c == "\x7f" for c in url.strip(" ")):
        raise _BarredError("its address is not valid")
    try:
        parts = urlsplit(url.strip(" "))
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise _BarredError("its address is not valid") from None
    host = parts.hostname or ""
    if not host or not host.isascii() or "%" in host or "@" in parts.netloc:
        raise _BarredError("its address is not valid")
    free = allow_private or host in trusted
    if parts.scheme != "https" and not (free and parts.scheme == "http"):
        raise _BarredError("its address is not https")
    if port != 443 and not free:
        raise _BarredError("its port is not that of https")
    addresses = _wire.resolve(host, port, ends_at)
    if not free and not (addresses and all(map(is_public, addresses))):
        raise _BarredError("its address is not public")
    path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe="/?%:@!$&'()*+,;=-._~[]")
    return _wire.Peer(parts.scheme == "https", host, port, addresses), path

"""Checks addresses that others supply: untrusted until checked, and public hosts alone."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, urlsplit

from lambdas.egress import wire

Fault = Literal["invalid", "scheme", "port", "private"]

_V4_BARRED: Final = [
    ipaddress.IPv4Network(net)
    for net in ("192.0.0.0/24", "192.88.99.0/24", "224.0.0.0/4", "240.0.0.0/4")  # `is_global` differs by Python version
]
# IPv6 as allocated to hosts, without protocol assignments and Teredo, documentation, 6to4, documentation.
_V6_GIVEN_OUT: Final = ipaddress.IPv6Network("2000::/3")
_V6_BARRED: Final = [ipaddress.IPv6Network(net) for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
_V6_WITH_V4: Final = [ipaddress.IPv6Network(net) for net in ("::ffff:0:0/96", "64:ff9b::/96")]  # mapped, NAT64
_LOCAL_NAMES: Final = frozenset({"localhost", "localdomain", "local", "internal", "arpa"})


FAULTS: Final[dict[Fault, str]] = {
    "invalid": "the address is not valid",
    "scheme": "the address is not https",
    "port": "the port is not that of https",
    "private": "the address is not public",
}


class BarredError(Exception):
    """The address is not one to reach, whatever is there; `fault` says why, and its text does so in a sentence."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(FAULTS[fault])
        self.fault = fault


Origin = tuple[str, int]  # host and port


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL. `free`: its host may be private, and plain http at any port."""

    tls: bool
    host: str
    port: int
    path: str
    free: bool


def is_public(address: str) -> bool:
    """Return whether the address is a host of the public internet, also for an IPv4 address inside an IPv6 one."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in net for net in _V6_WITH_V4):
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        return ip.is_global and ip in _V6_GIVEN_OUT and not any(ip in net for net in _V6_BARRED)
    return ip.is_global and not any(ip in net for net in _V4_BARRED)


def origin(url: str) -> Origin | None:
    """Return host and port of a URL of the settings; `None` if it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None


def target(url: str, *, trusted: frozenset[Origin] = frozenset(), allow_private: bool = False) -> Target:
    """Parse and check a URL without resolving it. Raises BarredError, also for a private name or number.

    A trusted host is trusted at its port alone: other ports of the machine may be others' services.
    """
    # URL parsers disagree about these, and no legitimate address has them.
    if "\\" in url or any(c <= " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in url.strip(" ")):
        raise BarredError("invalid")
    try:
        parts = urlsplit(url.strip(" "))
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise BarredError("invalid") from None
    host = parts.hostname or ""
    if not host or not host.isascii() or "%" in host or "@" in parts.netloc:
        raise BarredError("invalid")
    free = allow_private or (host, port) in trusted
    if parts.scheme != "https" and not (free and parts.scheme == "http"):
        raise BarredError("scheme")
    if port != 443 and not free:
        raise BarredError("port")
    if not free:
        _check_host(host)
    path = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe="/?%:@!$&'()*+,;=-._~[]")
    return Target(parts.scheme == "https", host, port, path, free)


def peer(found: Target, ends_at: float) -> wire.Peer:
    """Resolve the name once; every address of it must be public.

    Raises BarredError, and NotReachedError if the name is not resolved. `ends_at` is of the monotonic clock.
    """
    addresses = wire.resolve(found.host, found.port, ends_at)
    if not found.free and not (addresses and all(map(is_public, addresses))):
        raise BarredError("private")
    return wire.Peer(found.tls, found.host, found.port, addresses)


def _check_host(host: str) -> None:
    """Raise BarredError for a private host.

    Numbers are read here as the C library reads them (`127.1`, `0x7f000001`, `0177.0.0.1`), not by the resolver.
    """
    name = host.rstrip(".")
    last = name.rpartition(".")[2]
    if ":" in name:
        public = is_public(name)
    elif last.isdigit() or last.startswith("0x"):
        try:
            public = is_public(socket.inet_ntoa(socket.inet_aton(name)))
        except OSError:
            raise BarredError("invalid") from None
    else:
        public = "." in name and last not in _LOCAL_NAMES
    if not public:
        raise BarredError("private")

"""Makes one HTTP exchange on its own connection: one total deadline, no retries, no redirects, no proxy.

It uses the standard library, because it must own the socket: that enforces the deadline against a peer that sends
slowly, distinguishes "nothing was sent" from "may have been paid for", and connects to the very address that was
checked. A connection is never kept: one from before a Lambda was frozen would make the outcome of a paid call unknown.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final

from lambdas import USER_AGENT
from lambdas.egress.deadline import within

CONNECT_SECONDS: Final = 5.0  # per address; an unreachable one must not use up the time of the next
CHUNK: Final = 65536
FORGOTTEN: Final = 4096  # bytes read of an answer whose body does not matter
HEAD: Final = 1_000_000  # bytes of an answer besides its body: headers, which http.client limits, and chunk sizes
CODINGS: Final = ("", "identity", "gzip", "x-gzip")
OTHER_NAME: Final = frozenset({62, 64})  # OpenSSL's error codes for a certificate of another name or address


class NotReachedError(Exception):
    """Nothing was sent: no name, no connection or no TLS. The text gives the reason and names no host."""


class NotSendableError(Exception):
    """Nothing was sent: the address, or a header with our key, cannot be represented in HTTP."""


class TooLargeError(Exception):
    """The answer exceeds the limit."""


class UnreadableError(Exception):
    """The answer's content coding was not requested and is not supported, or is broken."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A host to connect to: `host` is for the Host header and the certificate, `addresses` are used to connect."""

    tls: bool
    host: str
    port: int
    addresses: tuple[str, ...]


def resolve(host: str, port: int, ends_at: float) -> tuple[str, ...]:
    """Return every address of the name, in a thread, as resolvers have no timeout. Raises NotReachedError."""
    try:
        found = within(_left(ends_at), lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        raise NotReachedError("the name was not resolved") from error
    return tuple(dict.fromkeys(str(info[4][0]) for info in found))


def exchange(
    peer: Peer,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    ends_at: float,
    max_bytes: int,
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers (lower-case names) and body of the answer.

    Raises NotReachedError or NotSendableError before a byte was sent; after that TimeoutError, TooLargeError,
    UnreadableError for a success, or OSError and HTTPException if the connection broke.
    """
    with _answered(peer, method, path, headers, body, ends_at, 2 * max_bytes + HEAD) as response:
        found = _headers_of(response)
        read = _read(response, max_bytes)
        try:
            return response.status, found, _decoded(read, found.get("content-encoding", ""), max_bytes)
        except UnreadableError:
            if response.status < 300:
                raise
            return response.status, found, b""  # the status is sufficient


def acknowledged(
    peer: Peer, method: str, path: str, headers: Mapping[str, str], body: bytes | None, *, ends_at: float
) -> tuple[int, dict[str, str]]:
    """Like `exchange`, for an answer whose body does not matter: its beginning is read and discarded, with errors."""
    with _answered(peer, method, path, headers, body, ends_at, HEAD) as response:
        with suppress(OSError, HTTPException, ValueError, TooLargeError):
            response.read(FORGOTTEN)  # a peer may count a connection cut during its answer as a failure
        return response.status, _headers_of(response)


@contextmanager
def _answered(
    peer: Peer, method: str, path: str, headers: Mapping[str, str], body: bytes | None, ends_at: float, most: int
) -> Iterator[HTTPResponse]:
    """Yield the answer with its head read. `most`: bytes accepted from the peer in all."""
    named = any(name.lower() == "user-agent" for name in headers)
    sent = dict(headers) if named else {"User-Agent": USER_AGENT, **headers}
    with closing(_connected(peer, ends_at)) as sock:
        broken: OSError | None = None
        try:
            connection = _connection(peer)
            connection.sock = _Wire(sock, ends_at, most)
            connection.request(method, path, body, sent)
        except (ValueError, HTTPException):
            # Not chained: the message would quote the header, which may be our key.
            raise NotSendableError("the address or a header cannot be sent") from None
        except TimeoutError:
            raise
        except OSError as error:
            broken = error
        with closing(_response(connection, broken)) as response:
            yield response


def _response(connection: HTTPConnection, broken: OSError | None) -> HTTPResponse:
    """The head of the answer. `broken`: the request was cut short, as by a peer that answers 413 and reads no further.

    Raises that error where no answer arrived: how much of the request the peer has is then unknown.
    """
    try:
        return connection.getresponse()
    except (OSError, HTTPException):
        if broken:
            raise broken from None
        raise


def _headers_of(response: HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _connection(peer: Peer) -> HTTPConnection:
    if peer.tls:
        return HTTPSConnection(peer.host, peer.port, context=tls_context())
    return HTTPConnection(peer.host, peer.port)


def _connected(peer: Peer, ends_at: float) -> socket.socket:
    failed: OSError | None = None
    for address in peer.addresses:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.settimeout(min(CONNECT_SECONDS, _left(ends_at)))
            sock.connect((address, peer.port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return tls_context().wrap_socket(sock, server_hostname=peer.host) if peer.tls else sock
        except OSError as error:  # ssl's errors are OSErrors too
            sock.close()
            failed = error
        except ValueError:  # a name that is invalid in certificates
            sock.close()
            raise NotReachedError("the name is not valid") from None
    raise NotReachedError(_why(failed)) from failed


def _why(failed: OSError | None) -> str:
    if isinstance(failed, ssl.SSLCertVerificationError):
        other = failed.verify_code in OTHER_NAME  # OpenSSL's message would quote the requested name
        return f"its certificate is not valid: {'it is for another name' if other else failed.verify_message}"
    return "no TLS connection could be made" if isinstance(failed, ssl.SSLError) else "no connection could be made"


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """Return a context that verifies certificates and names; made once, as reading the authorities takes long."""
    return ssl.create_default_context()


def _read(response: HTTPResponse, max_bytes: int) -> bytes:
    body = bytearray()
    if (response.length or 0) > max_bytes:
        raise TooLargeError
    try:
        while chunk := response.read(CHUNK):
            body += chunk
            if len(body) > max_bytes:
                raise TooLargeError
    except ValueError:  # a negative chunk size
        raise ConnectionResetError("the answer was not HTTP") from None
    if response.length:  # http.client accepts an early end
        raise ConnectionResetError("the answer ended early")
    return bytes(body)


def _decoded(body: bytes, coding: str, max_bytes: int) -> bytes:
    """Return the body without its coding; `identity` is requested, but a host may ignore that."""
    coding = coding.strip().lower()
    if coding not in CODINGS:
        raise UnreadableError
    if coding in ("", "identity"):
        return body
    read = bytearray()
    try:
        while body:  # gzip may have several members
            unpacking = zlib.decompressobj(31)
            read += unpacking.decompress(body, max_bytes + 1 - len(read))
            if len(read) > max_bytes:
                raise TooLargeError
            if not unpacking.eof:
                raise UnreadableError
            body = unpacking.unused_data
    except zlib.error:
        raise UnreadableError from None
    return bytes(read)


def _left(ends_at: float) -> float:
    left = ends_at - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Wire:
    """The part of a socket that http.client uses, with one deadline for all waits and a limit on received bytes.

    http.client limits neither: a chunk size of -1 would make it read for as long as the peer sends.
    """

    def __init__(self, sock: socket.socket, ends_at: float, most: int) -> None:
        self._sock = sock
        self._ends_at = ends_at
        self._most = most

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._sock.settimeout(_left(self._ends_at))
            view = view[self._sock.send(view[:CHUNK]) :]

    def recv_into(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._ends_at))
        came = self._sock.recv_into(buffer)
        self._most -= came
        if self._most < 0:
            raise TooLargeError
        return came

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self), CHUNK)

    def close(self) -> None:
        """The exchange closes the socket itself."""


class _Incoming(io.RawIOBase):
    def __init__(self, wire: _Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.recv_into(buffer)

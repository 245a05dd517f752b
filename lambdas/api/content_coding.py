"""Undoes the coding of a request's body that its Content-Encoding names: gzip, bounded, and no other."""

from __future__ import annotations

from typing import Final

from lambdas.domain.errors import MalformedBody, TooLarge, UnsupportedMediaType

MAX_BYTES: Final = 10 * 1024 * 1024  # of a body as it was before it was coded: what a gateway takes uncoded
MAX_MEMBERS: Final = 16  # that a gzip file may be joined of
_GZIP: Final = ("gzip", "x-gzip")  # equal by RFC 9110, 8.4.1.3
ACCEPTED: Final = {"Accept-Encoding": "gzip, identity"}  # RFC 9110, 15.5.16: what a 415 names


def decoded(body: bytes, coding: str) -> bytes:
    """The body without its coding. Raises UnsupportedMediaType, MalformedBody and TooLarge."""
    codings = [name for part in coding.lower().split(",") if (name := part.strip()) not in ("", "identity")]
    if not codings:
        return body
    if len(codings) > 1 or codings[0] not in _GZIP:
        told = f"a body may be sent as it is or with Content-Encoding: gzip, not {coding[:80]}"
        raise UnsupportedMediaType(told, headers=ACCEPTED)
    return _gunzipped(body)


def _gunzipped(body: bytes) -> bytes:
    """Every member of the file, one after another, as RFC 1952 has it."""
    import zlib

    out = bytearray()
    for _ in range(MAX_MEMBERS):
        if not body:
            return bytes(out)
        member = zlib.decompressobj(wbits=31)  # gzip alone
        try:
            out += member.decompress(body, MAX_BYTES + 1 - len(out))
        except zlib.error:
            raise MalformedBody("the body is not valid gzip, as its Content-Encoding says") from None
        if len(out) > MAX_BYTES:
            raise TooLarge(f"a body may have {MAX_BYTES} bytes at the most before it is compressed")
        if not member.eof:
            raise MalformedBody("the body is cut off: its gzip data has no end")
        body = member.unused_data
    if body:
        raise MalformedBody(f"a gzip body may be joined of {MAX_MEMBERS} members at the most")
    return bytes(out)

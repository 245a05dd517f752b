"""Parses picture files before decoding: their kind, size and decoding cost, and the bytes of the picture alone."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass, field
from typing import Final

MAX_SCANS: Final = 100  # of a JPEG; encoders write about 10
MAX_SAMPLES: Final = 1_000_000_000  # processed in all scans together
MAX_PARTS: Final = 100_000
MAX_NOTE: Final = 4_194_304  # bytes of EXIF, or of a compressed profile
MAX_PROFILE: Final = 1_000_000  # bytes

PNG: Final = b"\x89PNG\r\n\x1a\n"
_KEPT: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"iCCP", b"eXIf"})
_MARK: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_MARKER: Final = re.compile(rb"\xff+([^\xff])", re.DOTALL)
_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})


class Broken(Exception):
    """The data is not a complete PNG, JPEG or WebP."""


@dataclass(frozen=True, slots=True)
class File:
    """`data`: the picture with its profile and orientation, without other metadata. `depth`: bits of each sample.

    `key`: the sample values that are transparent in a PNG without a palette, in that depth.
    """

    kind: str
    data: bytes = field(repr=False)
    width: int
    height: int
    depth: int = 8
    key: tuple[int, ...] | None = None


def outlined(data: bytes) -> File:
    """Parse a PNG, JPEG or WebP. Raises Broken."""
    if data.startswith(PNG):
        return _png(data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    raise Broken


def _png(data: bytes) -> File:
    parts, at = [PNG], len(PNG)
    seen: set[bytes] = set()
    head, clear = b"", b""
    for _ in range(MAX_PARTS):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if end > len(data) or (not head) != (kind == b"IHDR"):
            raise Broken
        body = memoryview(data)[at + 4 : end - 4]
        sound = zlib.crc32(body) == int.from_bytes(data[end - 4 : end], "big")
        if not sound and (kind in (b"tRNS", b"IEND") or not kind[0] & 0x20):
            raise Broken
        if kind == b"IHDR":
            head = data[at + 8 : end - 4]
        if kind == b"tRNS" and not seen:
            clear = data[at + 8 : end - 4]
        once = kind in (b"IDAT", b"IEND") or kind not in seen
        small = kind == b"IDAT" or (end - at <= MAX_NOTE and (kind != b"iCCP" or _unpacks(data[at + 8 : end - 4])))
        if kind in _KEPT and sound and once and small:
            parts.append(data[at:end])
        seen |= {kind} & {b"iCCP", b"eXIf", b"IDAT"}
        at = end
        if kind == b"IEND":
            break
    else:
        raise Broken
    try:
        width, height, depth, colour = struct.unpack_from(">IIBB", head)
        key = struct.unpack({0: ">H", 2: ">3H"}[colour], clear) if clear and colour in (0, 2) else None
    except struct.error:
        raise Broken from None
    masked = None if key is None else tuple(value & ((1 << depth) - 1) for value in key)
    return File("PNG", b"".join(parts), width, height, depth, masked)


def _unpacks(profile: bytes) -> bool:
    """Return whether a profile unpacks within MAX_PROFILE; Pillow refuses a picture with a larger one."""
    try:
        unpacker = zlib.decompressobj()
        unpacker.decompress(profile.partition(b"\0")[2][1:], MAX_PROFILE)
    except zlib.error:
        return False
    return unpacker.eof


def _jpeg(data: bytes) -> File:
    """Parse the first picture alone; data that phones append to it is left out."""
    at, size, scans, samples = 2, (0, 0), 0, 0
    for _ in range(MAX_PARTS):
        found = _MARKER.match(data, at)
        if found is None:
            raise Broken
        marker, start = found[1][0], found.end()
        if marker == 0xD9:
            return File("JPEG", data[:start], *size)
        length = int.from_bytes(data[start : start + 2], "big")
        if length < 2 or start + length > len(data):
            raise Broken
        at = start + length
        if marker in _FRAMES and length >= 8:
            size = (
                int.from_bytes(data[start + 5 : start + 7], "big"),
                int.from_bytes(data[start + 3 : start + 5], "big"),
            )
        elif marker == 0xDA:
            scans, samples = scans + 1, samples + size[0] * size[1] * data[start + 2]
            mark = _MARK.search(data, at)
            if mark is None or scans > MAX_SCANS or samples > MAX_SAMPLES:
                raise Broken
            at = mark.start()
    raise Broken


def _webp(data: bytes) -> File:
    kind, body = data[12:16], data[20:30]
    if int.from_bytes(data[4:8], "little") + 8 > len(data) or len(body) < 10:
        raise Broken
    if kind == b"VP8X":
        width, height = (int.from_bytes(body[at : at + 3], "little") + 1 for at in (4, 7))
    elif kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    else:
        raise Broken
    return File("WEBP", data, width, height)

"""Reads the outer structure of PNG, JPEG and WebP files: does one hold its picture and nothing else?

Every walker answers False at the first thing that a plain picture has no need of: text, EXIF, colour profiles,
animation, unknown parts, wrong checksums, bytes after the end. Such a file is encoded anew instead of passed on.
"""

from __future__ import annotations

import zlib

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_PLAIN = frozenset({b"IHDR", b"PLTE", b"tRNS", b"sRGB", b"IDAT"})
WEBP_PLAIN = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH"})
# Tables, frame headers (baseline, progressive), JFIF's and Adobe's own segments, whose colour transform matters.
JPEG_PLAIN = frozenset({0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD, 0xE0, 0xEE})
JPEG_START, JPEG_END, JPEG_SCAN = 0xD8, 0xD9, 0xDA


def is_plain(data: bytes, kind: str) -> bool:
    """`kind` is png, jpeg or webp. True for a file of that kind that may be passed on as it is."""
    return {"png": _png, "jpeg": _jpeg, "webp": _webp}[kind](data)


def png_ends(data: bytes) -> bool:
    """Is the file's last chunk there? Pillow does not miss it."""
    at = len(PNG_START)
    while at + 12 <= len(data):
        kind = data[at + 4 : at + 8]
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        if kind == b"IEND":
            return at <= len(data)
    return False


def _png(data: bytes) -> bool:
    at = len(PNG_START)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return False
        if kind == b"IEND":
            return end == at + 12 and end == len(data)
        if kind not in PNG_PLAIN:
            return False
        at = end
    return False


def _jpeg(data: bytes) -> bool:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xE0 and not (data[at + 4 : at + 9] == b"JFIF\0" and length == 16):
            return False  # with a thumbnail, or another use of the segment
        if marker == 0xEE and length != 14:
            return False
        at += 2 + length
        if marker == JPEG_SCAN:
            at = _after_scan(data, at)
            if data[at : at + 2] == bytes((0xFF, JPEG_END)):
                return at + 2 == len(data)
        elif marker not in JPEG_PLAIN:
            return False
    return False


def _after_scan(data: bytes, at: int) -> int:
    """Where the next marker after a scan's data stands: not an escaped 0xFF, not a restart."""
    while (at := data.find(0xFF, at)) >= 0 and at + 1 < len(data):
        if data[at + 1] != 0 and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 2
    return len(data)


def _webp(data: bytes) -> bool:
    if len(data) < 20 or int.from_bytes(data[4:8], "little") + 8 != len(data):
        return False
    at = 12
    while at + 8 <= len(data):
        if data[at : at + 4] not in WEBP_PLAIN:
            return False
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    return at == len(data)

"""Parses the structure of a WebP: its picture, or its first frame, without metadata."""

from __future__ import annotations

import struct
from typing import Final

from lambdas.adapters.images.outline import MAX_NOTE, MAX_PROFILE, Broken, Colours, Outline, orientation_of

MAX_CHUNKS: Final = 100_000

_PLAIN: Final = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH"})
_DAMAGED: Final = "the image is cut off or damaged"
_ALPHA, _ANIMATED = 0x10, 0x02

Chunks = list[tuple[bytes, bytes]]


def outline(data: bytes) -> Outline:
    """Parse a WebP. Raises Broken."""
    length = int.from_bytes(data[4:8], "little") + 8
    if len(data) < 20 or length > len(data):
        raise Broken("the image is cut off")
    chunks, exact = _chunks(data[12:length])
    notes: dict[bytes, bytes] = {}
    for kind, body in chunks:
        notes.setdefault(kind, body)
    size = frame = None
    if chunks[0][0] == b"VP8X":
        if len(chunks[0][1]) < 10:
            raise Broken(_DAMAGED)
        size = _three(chunks[0][1], 4) + 1, _three(chunks[0][1], 7) + 1
        if chunks[0][1][0] & _ANIMATED:
            chunks, frame = _first_frame(notes, size)
    picture, alpha = _picture(chunks)
    shape, clear = _shape(picture)
    if frame is None and size not in (None, shape):
        raise Broken(_DAMAGED)
    if frame is not None and shape != frame[2:]:
        raise Broken(_DAMAGED)
    width, height = size or shape
    kept: Chunks = [(b"ALPH", alpha), picture] if alpha is not None else [picture]
    if alpha is not None:
        flags = bytes((_ALPHA, 0, 0, 0)) + struct.pack("<I", shape[0] - 1)[:3] + struct.pack("<I", shape[1] - 1)[:3]
        kept.insert(0, (b"VP8X", flags))
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for kind, part in kept
    )
    profile = notes.get(b"ICCP")
    return Outline(
        "webp",
        width,
        height,
        b"RIFF" + struct.pack("<I", len(body)) + body,
        plain=exact and length == len(data) and set(notes) <= _PLAIN,
        direct=True,
        memory=12 * width * height,
        work=width * height,
        colours=Colours(profile if profile is None or len(profile) <= MAX_PROFILE else b""),
        orientation=orientation_of(notes.get(b"EXIF", b"")[:MAX_NOTE], notes.get(b"XMP ", b"")[:MAX_NOTE]),
        lossy=picture[0] == b"VP8 " and not clear and alpha is None,
        frame=frame,
    )


def _chunks(data: bytes) -> tuple[Chunks, bool]:
    """Return the chunks, and whether they cover the data exactly. Raises Broken."""
    found: Chunks = []
    at = 0
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if end > len(data) or len(found) == MAX_CHUNKS:
            raise Broken(_DAMAGED)
        found.append((data[at : at + 4], data[at + 8 : end]))
        at = end + (end - at) % 2
    if not found:
        raise Broken(_DAMAGED)
    return found, at == len(data)


def _first_frame(notes: dict[bytes, bytes], size: tuple[int, int]) -> tuple[Chunks, tuple[int, int, int, int]]:
    sent = notes.get(b"ANMF", b"")
    if len(sent) < 24:
        raise Broken("the image is an animation without a frame")
    x, y, width, height = 2 * _three(sent, 0), 2 * _three(sent, 3), _three(sent, 6) + 1, _three(sent, 9) + 1
    if x + width > size[0] or y + height > size[1]:
        raise Broken(_DAMAGED)
    return _chunks(sent[16:])[0], (x, y, width, height)


def _picture(chunks: Chunks) -> tuple[tuple[bytes, bytes], bytes | None]:
    """Return the chunk with the colours, and the body of an alpha chunk before it. Raises Broken."""
    alpha: bytes | None = None
    for kind, body in chunks:
        if kind == b"ALPH" and alpha is None:
            alpha = body
        elif kind in (b"VP8 ", b"VP8L"):
            return (kind, body), alpha if kind == b"VP8 " else None
    raise Broken(_DAMAGED)


def _shape(picture: tuple[bytes, bytes]) -> tuple[tuple[int, int], bool]:
    """Return width and height, and whether the chunk has its own alpha. Raises Broken."""
    kind, body = picture
    if kind == b"VP8 " and len(body) >= 10 and body[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        if not width or not height:
            raise Broken("the image has no pixels")
        return (width, height), False
    if kind == b"VP8L" and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1)
    raise Broken(_DAMAGED)


def _three(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "little")

"""Parses the structure of a PNG: its picture without metadata and further frames, and its colour information."""

from __future__ import annotations

import struct
import zlib
from typing import Final

from lambdas.adapters.images.kinds import PNG_START
from lambdas.adapters.images.outline import MAX_NOTE, MAX_PROFILE, Broken, Colours, Outline, orientation_of

MAX_CHUNKS: Final = 100_000

_PLAIN: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"sRGB", b"IDAT", b"IEND"})
_KEPT: Final = frozenset({b"tRNS", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"eXIf", b"iTXt"})
_DEPTHS: Final = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_XMP: Final = b"XML:com.adobe.xmp\0\0\0\0\0"
_DAMAGED: Final = "the image is cut off or damaged"


class _Reader:
    """Reads the chunks in one pass."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.plain = True
        self.head = self.palette = b""
        self.pixels: list[bytes] = []
        self.notes: dict[bytes, bytes] = {}

    def read(self) -> None:
        if not self.data.startswith(PNG_START):
            raise Broken(_DAMAGED)
        at = len(PNG_START)
        for number in range(MAX_CHUNKS):
            if at + 12 > len(self.data):
                raise Broken("the image is cut off")
            end = at + 12 + int.from_bytes(self.data[at : at + 4], "big")
            kind = self.data[at + 4 : at + 8]
            if end > len(self.data):
                raise Broken("the image is cut off")
            if (number == 0) != (kind == b"IHDR"):
                raise Broken(_DAMAGED)
            if kind == b"IEND":
                self.plain &= end == at + 12 and end == len(self.data) and self._sound(at, end)
                return
            self._chunk(kind, at, end)
            at = end
        raise Broken("the image has more parts than a PNG can need")

    def _sound(self, at: int, end: int) -> bool:
        told = int.from_bytes(self.data[end - 4 : end], "big")
        return zlib.crc32(memoryview(self.data)[at + 4 : end - 4]) == told

    def _chunk(self, kind: bytes, at: int, end: int) -> None:
        needed = not kind[0] & 0x20  # by its name: readers must not skip it
        if kind not in _PLAIN:
            self.plain = False
        if needed or kind == b"tRNS":
            if not self._sound(at, end):
                raise Broken("the image is damaged: a checksum is wrong")
            if kind not in (b"IHDR", b"PLTE", b"IDAT", b"tRNS"):
                raise Broken("the image has a part that no PNG has")
        body = slice(at + 8, end - 4)
        if kind == b"IHDR":
            self.head = self.data[body]
        elif kind == b"IDAT":
            self.pixels.append(self.data[body])
        elif self.pixels and kind != b"eXIf":
            self.plain = False  # out of place, where it has no meaning
        elif kind == b"PLTE":
            self.palette = self.palette or self.data[body]
        elif kind in _KEPT and kind not in self.notes:
            self._note(kind, body, at, end)

    def _note(self, kind: bytes, body: slice, at: int, end: int) -> None:
        if kind == b"iTXt" and not self.data.startswith(_XMP, body.start):
            return
        if kind == b"sRGB" and not self._sound(at, end):
            self.plain = False
        elif self._sound(at, end):
            longest = MAX_PROFILE if kind == b"iCCP" else MAX_NOTE
            self.notes[kind] = self.data[body.start : min(body.stop, body.start + longest)]


def outline(data: bytes) -> Outline:
    """Parse a PNG. Raises Broken."""
    reader = _Reader(data)
    reader.read()
    try:
        width, height, depth, colour, packing, filtering, order = struct.unpack(">IIBBBBB", reader.head)
    except struct.error:
        raise Broken(_DAMAGED) from None
    if not width or not height:
        raise Broken("the image has no pixels")
    if depth not in _DEPTHS.get(colour, ()) or packing or filtering or order > 1 or not reader.pixels:
        raise Broken(_DAMAGED)
    indexed = colour == 3
    if len(reader.palette) % 3 or (indexed and not 3 <= len(reader.palette) <= 768):
        raise Broken("the image is damaged: its palette is missing or of a wrong length")
    clear = reader.notes.get(b"tRNS", b"")
    chunks = [(b"IHDR", reader.head)]
    if indexed:
        chunks += [(b"PLTE", reader.palette)] + ([(b"tRNS", clear[: len(reader.palette) // 3])] if clear else [])
    chunks += [(b"IDAT", b"".join(reader.pixels)), (b"IEND", b"")]
    memory = width * height * (2 if depth == 16 and not colour else 4)
    return Outline(
        "png",
        width,
        height,
        PNG_START + b"".join(_written(kind, body) for kind, body in chunks),
        reader.plain,
        direct=depth == 8 and colour in (2, 6),
        memory=memory,
        work=width * height,
        colours=_colours(reader.notes),
        orientation=orientation_of(reader.notes.get(b"eXIf", b""), reader.notes.get(b"iTXt", b"").removeprefix(_XMP)),
        depth=depth,
        key=_key(clear, colour, depth),
    )


def _written(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def _key(clear: bytes, colour: int, depth: int) -> tuple[int, ...] | None:
    """Return the transparent colour of a picture without a palette, from each number's lowest bits. Raises Broken."""
    count = {0: 1, 2: 3}.get(colour, 0)
    if not clear or not count:
        return None
    if len(clear) != 2 * count:
        raise Broken("the image is damaged: which colour is clear cannot be read")
    return tuple(value & ((1 << depth) - 1) for value in struct.unpack(f">{count}H", clear))


def _colours(notes: dict[bytes, bytes]) -> Colours:
    """Return the colour information of the highest precedence: cICP, iCCP, sRGB, then gAMA and cHRM."""
    if len(code := notes.get(b"cICP", b"")) == 4 and code[2] == 0:
        return Colours(code=(code[0], code[1], code[3] != 0))
    if b"iCCP" in notes:
        return Colours(_profile(notes[b"iCCP"]))
    if b"sRGB" in notes:
        return Colours()
    gamma = chroma = None
    if len(sent := notes.get(b"gAMA", b"")) == 4 and any(sent):
        gamma = int.from_bytes(sent, "big") / 100_000
    if len(sent := notes.get(b"cHRM", b"")) == 32:
        chroma = tuple(value / 100_000 for value in struct.unpack(">8I", sent))
    return Colours(gamma=gamma, chroma=chroma)


def _profile(chunk: bytes) -> bytes:
    """Unpack a profile; `b""` if that fails or it is too large."""
    name, _, packed = chunk.partition(b"\0")
    if len(name) > 79 or packed[:1] != b"\0":
        return b""
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(packed[1:], MAX_PROFILE + 1)
    except zlib.error:
        return b""
    return found if unpacker.eof and len(found) <= MAX_PROFILE else b""

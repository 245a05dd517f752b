"""Parses the structure of a JPEG: its first picture without metadata, and the cost of decoding it."""

from __future__ import annotations

import re
import struct
from typing import Final

from lambdas.adapters.images.outline import MAX_NOTE, MAX_PROFILE, Broken, Colours, Outline, orientation_of

MAX_SCANS: Final = 100  # encoders write about 10
MAX_SEGMENTS: Final = 20_000

_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_FRAMES: Final = {0xC0: False, 0xC1: False, 0xC2: True, 0xC9: False, 0xCA: True}  # marker -> whether it is progressive
_TABLES: Final = frozenset({0xC4, 0xCC, 0xDB, 0xDD})
_MARK: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # in a scan: not an escaped 0xFF, a fill byte or a restart
_NOT_FILLING: Final = re.compile(rb"[^\xff]")
_JFIF, _ADOBE, _EXIF = b"JFIF\0", b"Adobe", b"Exif\0\0"
_XMP, _ICC = b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"


class _Reader:
    """Reads the markers in one pass."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.parts = [data[:2]]
        self.plain = True
        self.size: tuple[int, int] | None = None
        self.progressive = False
        self.sampling: dict[int, tuple[int, int]] = {}
        self.scans: list[int] = []  # the number of components of each
        self.notes: dict[bytes, bytes] = {}
        self.icc: list[bytes] = []
        self.jfif = self.adobe = False

    def read(self) -> None:
        at = 2
        for _ in range(MAX_SEGMENTS):
            start = at
            while self.data[at : at + 2] == b"\xff\xff":
                at = _after_filling(self.data, at)
            self.plain &= at == start
            if len(self.data) < at + 2 or self.data[at] != 0xFF:
                raise Broken("the image is cut off or damaged")
            marker = self.data[at + 1]
            if marker == _END:
                self._end(at)
                return
            if marker == 0x01 or 0xD0 <= marker <= 0xD7:
                at, self.plain = at + 2, False
                continue
            length = int.from_bytes(self.data[at + 2 : at + 4], "big")
            end = at + 2 + length
            if length < 2 or end > len(self.data) or marker in (0, _START):
                raise Broken("the image is cut off or damaged")
            at = self._segment(marker, self.data[at:end], end)
        raise Broken("the image has more parts than a JPEG can need")

    def _segment(self, marker: int, part: bytes, end: int) -> int:
        """Process one segment. Returns the position of the next. Raises Broken."""
        body = part[4:]
        if marker == _SCAN:
            return self._scan(part, end)
        if marker in _FRAMES:
            self._frame(marker, body)
            self.parts.append(part)
        elif marker in _TABLES:
            self.parts.append(part)
        elif 0xC0 <= marker <= 0xCF and marker != 0xC8:
            raise Broken("the image is a JPEG of a kind that is not in use")
        elif marker == 0xE0 and body.startswith(_JFIF) and len(body) >= 14 and not self.jfif:
            self.jfif = True
            self.plain &= len(body) == 14
            self.parts.append(b"\xff\xe0\0\x10" + body[:12] + b"\0\0")
        elif marker == 0xEE and body.startswith(_ADOBE) and len(body) >= 12 and not self.adobe:
            self.adobe = True
            self.plain &= len(body) == 12
            self.parts.append(b"\xff\xee\0\x0e" + body[:12])
        else:
            self.plain = False
            self._note(marker, body)
        return end

    def _note(self, marker: int, body: bytes) -> None:
        if marker == 0xE1:
            for start in (_EXIF, _XMP):
                if body.startswith(start):
                    self.notes.setdefault(start, body[len(start) :][:MAX_NOTE])
        elif marker == 0xE2 and body.startswith(_ICC) and len(body) > 14 and len(self.icc) < 256:
            self.icc.append(body[12:])

    def _frame(self, marker: int, body: bytes) -> None:
        if self.size is not None:
            raise Broken("the image is damaged: its size is said twice")
        try:
            depth, height, width, count = struct.unpack_from(">BHHB", body)
            parts = [struct.unpack_from("BBB", body, 6 + 3 * n) for n in range(count)]
        except struct.error:
            raise Broken("the image is cut off or damaged") from None
        if not width or not height:
            raise Broken("the image has no pixels")
        if depth != 8 or count not in (1, 3, 4):
            raise Broken("the image is a JPEG of another depth or number of colours than can be read")
        self.sampling = {name: (by >> 4, by & 15) for name, by, _ in parts}
        if len(self.sampling) != count or not all(1 <= n <= 4 for by in self.sampling.values() for n in by):
            raise Broken("the image is cut off or damaged")
        self.size, self.progressive = (width, height), _FRAMES[marker]

    def _scan(self, part: bytes, end: int) -> int:
        count = part[4] if len(part) > 4 else 0
        if self.size is None or not 1 <= count <= 4 or len(part) < 6 + 2 * count:
            raise Broken("the image is cut off or damaged")
        self.scans.append(count)
        if len(self.scans) > MAX_SCANS:
            raise Broken(f"the image has more than {MAX_SCANS} scans; encoders write about 10")
        found = _MARK.search(self.data, end)
        if found is None:
            raise Broken("the image is cut off")
        self.parts.append(part)
        stop = found.start()
        while stop > end and self.data[stop - 1] == 0xFF:  # fill bytes before the marker
            stop -= 1
        self.parts.append(self.data[end:stop])
        return stop

    def _end(self, at: int) -> None:
        if not self.scans:
            raise Broken("the image is cut off or damaged")
        self.plain &= at + 2 == len(self.data)
        self.parts.append(self.data[at : at + 2])


def outline(data: bytes) -> Outline:
    """Parse a JPEG. Data after the first picture, such as a phone's further pictures, is left out. Raises Broken."""
    reader = _Reader(data)
    reader.read()
    assert reader.size is not None  # noqa: S101 - a scan before the size is refused
    width, height = reader.size
    wide, tall = (max(by[n] for by in reader.sampling.values()) for n in (0, 1))
    samples = sum(width * across * height * down // (wide * tall) for across, down in reader.sampling.values())
    count = len(reader.sampling)
    kept = 2 * samples if reader.progressive or len(reader.scans) > 1 else 0  # the coefficients of all scans
    return Outline(
        "jpeg",
        width,
        height,
        b"".join(reader.parts),
        reader.plain,
        direct=count == 3,
        memory=kept + width * height * (1 if count == 1 else 4),
        work=width * height * sum(reader.scans),
        colours=Colours(_profile(reader.icc)),
        orientation=orientation_of(reader.notes.get(_EXIF, b""), reader.notes.get(_XMP, b"")),
        lossy=True,
    )


def noted(file: bytes, orientation: int) -> bytes:
    """Return the file with one EXIF note, the orientation."""
    note = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0) + b"\0\0\0\0"
    return file[:2] + b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note + file[2:]


def _profile(parts: list[bytes]) -> bytes | None:
    """Return the profile of up to 255 numbered parts; `b""` if parts are missing or it is too large."""
    if not parts:
        return None
    whole = {part[0]: part[2:] for part in parts}
    if sorted(whole) != list(range(1, len(parts) + 1)) or {part[1] for part in parts} != {len(parts)}:
        return b""
    joined = b"".join(whole[n] for n in sorted(whole))
    return joined if len(joined) <= MAX_PROFILE else b""


def _after_filling(data: bytes, at: int) -> int:
    """Return the position of the last 0xFF of a run."""
    found = _NOT_FILLING.search(data, at)
    return (found.start() if found else len(data)) - 1

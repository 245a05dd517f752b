"""Defines the properties of a picture that its file's structure gives, before decoding."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from typing import Final

MAX_PROFILE: Final = 4_194_304  # bytes; profiles of printing presses have up to 3 MB
MAX_NOTE: Final = 262_144  # bytes of EXIF or XMP that are read

_XMP_TURNED: Final = re.compile(rb"tiff:Orientation(?:=[\"']|>)\s*([1-8])\b")


class Broken(Exception):
    """The file starts as one of the three kinds but is not a complete one. The message is for the client."""


@dataclass(frozen=True, slots=True)
class Colours:
    """The colour information of a file; all empty is sRGB.

    `profile`: an ICC profile, `b""` if it cannot be read. `code`: primaries and transfer of ITU-T H.273, and whether
    the range is full. `gamma`: the exponent that the file was written with. `chroma`: x and y of white, red, green and
    blue.
    """

    profile: bytes | None = field(default=None, repr=False)
    code: tuple[int, int, bool] | None = None
    gamma: float | None = None
    chroma: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class Outline:
    """`file`: the picture alone in a file of its kind, to be decoded or passed on.

    `plain`: whether the input is just that. `direct`: whether its samples are 8-bit red, green, blue (alpha). `memory`:
    bytes that decoding takes, the decoder's own included. `work`: samples that decoding processes.
    """

    kind: str
    width: int
    height: int
    file: bytes = field(repr=False)
    plain: bool
    direct: bool
    memory: int
    work: int
    colours: Colours = Colours()
    orientation: int = 1
    lossy: bool = False
    depth: int = 8
    key: tuple[int, ...] | None = None  # PNG: the transparent samples, in the file's own depth
    frame: tuple[int, int, int, int] | None = None  # animation: x, y, width, height of its first frame

    @property
    def pixels(self) -> int:
        return self.width * self.height


def orientation_of(exif: bytes, xmp: bytes = b"") -> int:
    """Return the orientation, 1 to 8, of a camera's EXIF, else of an editor's XMP; 1 if neither can be read."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order:
        try:
            (start,) = struct.unpack_from(order + "I", exif, 4)
            (count,) = struct.unpack_from(order + "H", exif, start)
            for at in range(start + 2, start + 2 + 12 * min(count, 1000), 12):
                tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, at)
                if tag == 0x0112 and kind in (3, 4):
                    if kind == 4:
                        (value,) = struct.unpack_from(order + "I", exif, at + 8)
                    return value if 1 <= value <= 8 else 1
        except struct.error:
            pass
    found = _XMP_TURNED.search(xmp[:MAX_NOTE])
    return int(found[1]) if found else 1

"""A file counts as plain only when every part of it belongs to the picture."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image

from lambdas.adapters.images.files import outlined, png_ends
from lambdas.adapters.images.outline import Broken


def _file(fmt: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(out, fmt, **options)
    return out.getvalue()


PNG, JPEG, WEBP = _file("png"), _file("jpeg"), _file("webp")


def _is_plain(data: bytes, kind: str) -> bool:
    try:
        found = outlined(data)
    except Broken:
        return False
    return found is not None and found.kind == kind and found.plain


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize(("kind", "data"), [("png", PNG), ("jpeg", JPEG), ("webp", WEBP)])
def test_plain_and_every_cut_of_it(kind: str, data: bytes) -> None:
    assert _is_plain(data, kind)
    assert not _is_plain(data + b"\0", kind)
    for end in [*range(60), *range(60, len(data), 97), *range(len(data) - 40, len(data))]:
        assert not _is_plain(data[:end], kind), end


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("png", _flipped(PNG, len(PNG) // 2)),
        ("png", PNG[:33] + _chunk(b"acTL", b"\0" * 8) + PNG[33:]),
        ("png", PNG[:33] + _chunk(b"IEND", b"") + PNG[33:]),
        ("png", PNG[:33] + b"\xff\xff\xff\xff" + PNG[37:]),
        ("jpeg", JPEG[:2] + b"\xff\xe1\x00\x08Exif\0\0" + JPEG[2:]),
        ("jpeg", JPEG[:2] + b"\xff\xfe\x00\x06note" + JPEG[2:]),
        ("jpeg", JPEG[:2] + b"\xff\xee\x00\x08hidden" + JPEG[2:]),
        ("jpeg", JPEG[:2] + b"\xff\xff" + JPEG[2:]),
        ("jpeg", JPEG[:2] + b"junk" + JPEG[2:]),
        ("webp", WEBP + b"EXIF\x04\0\0\0note"),
        ("webp", b"RIFF" + struct.pack("<I", len(WEBP) + 4) + WEBP[8:] + b"EXIF\x04\0\0\0note"),
        ("webp", b"RIFF" + struct.pack("<I", len(WEBP) - 4) + WEBP[8:] + b"junk"),
    ],
)
def test_what_is_not_plain(kind: str, data: bytes) -> None:
    assert not _is_plain(data, kind)


def test_the_end_of_a_png() -> None:
    assert png_ends(PNG)
    assert png_ends(PNG + b"tail")
    for cut in (1, 4, 11, 12, 13, 40):
        assert not png_ends(PNG[:-cut])


def test_the_walk_never_stands_still() -> None:
    for data in (b"\xff\xd8" + b"\xff\xdb\0\0" * 1000, PNG[:8] + b"\0" * 10_000, b"RIFF\x0c\0\0\0WEBPVP8 \0\0\0\0"):
        for kind in ("png", "jpeg", "webp"):
            _is_plain(data, kind)
        png_ends(data)

"""Picture files made byte by byte, and valid ones of every accepted kind: the seeds of corrupted ones."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

from PIL import Image

from tests.pictures import profiles

SIZE = (24, 16)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    size: tuple[int, int], depth: int, colour: int, rows: bytes, *extra: bytes, after: bytes = b"", level: int = 6
) -> bytes:
    """`rows` without filter bytes. `extra`: whole chunks before the pixels; `after`: bytes behind them."""
    width, height = size
    across = len(rows) // height
    raw = b"".join(b"\0" + rows[n * across : (n + 1) * across] for n in range(height))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(raw, level))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + pixels + after + chunk(b"IEND", b"")


def packed(values: list[int], width: int, depth: int) -> bytes:
    """Rows of samples of that many bits, each row begun on a byte."""
    rows = b""
    for start in range(0, len(values), width):
        bits = "".join(format(value, f"0{depth}b") for value in values[start : start + width])
        rows += int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    return rows


def icc(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"x\0\0" + zlib.compress(profile))


def picture(mode: str = "RGB", size: tuple[int, int] = SIZE) -> Image.Image:
    shade = Image.radial_gradient("L").resize(size)
    made = Image.merge("RGB", (shade, shade.rotate(180), Image.new("L", size, 90)))
    if mode == "RGBA":
        made.putalpha(Image.linear_gradient("L").resize(size))
        return made
    return made.convert(mode)


def file(made: Image.Image, kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    made.save(out, kind, **options)
    return out.getvalue()


def turned(how: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = how
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}
    return exif


def in_jpeg(data: bytes, *segments: tuple[int, bytes]) -> bytes:
    """The JPEG with further segments at its beginning."""
    parts = (b"\xff" + bytes((mark,)) + struct.pack(">H", len(body) + 2) + body for mark, body in segments)
    return data[:2] + b"".join(parts) + data[2:]


def scans(data: bytes, count: int) -> bytes:
    """A progressive JPEG whose last scan comes `count` times more."""
    at = data.rindex(b"\xff\xda")
    return data[:-2] + data[at:-2] * count + data[-2:]


def webp_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for kind, part in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


@cache
def seeds() -> dict[str, bytes]:
    """Sound files by name: every kind, depth, colour and note that is taken."""
    width, height = SIZE
    count = width * height
    made: dict[str, bytes] = {}
    for depth in (1, 2, 4, 8, 16):
        most = (1 << depth) - 1
        rows = packed([n * 7 % (most + 1) for n in range(count)], width, depth)
        made[f"png grey {depth}"] = png(SIZE, depth, 0, rows)
        made[f"png grey {depth} clear"] = png(SIZE, depth, 0, rows, chunk(b"tRNS", struct.pack(">H", most // 2)))
    for depth in (1, 2, 4, 8):
        most = (1 << depth) - 1
        rows = packed([n % (most + 1) for n in range(count)], width, depth)
        palette = chunk(b"PLTE", bytes(n * 5 % 256 for n in range(3 * (most + 1))))
        made[f"png palette {depth}"] = png(SIZE, depth, 3, rows, palette)
        made[f"png palette {depth} clear"] = png(SIZE, depth, 3, rows, palette, chunk(b"tRNS", b"\0\x80"))
    for colour, bands in ((2, 3), (4, 2), (6, 4)):
        for depth in (8, 16):
            rows = bytes(n * 11 % 256 for n in range(count * bands * depth // 8))
            made[f"png colour {colour} of {depth}"] = png(SIZE, depth, colour, rows)
    rows = bytes(n * 11 % 256 for n in range(count * 3))
    made["png clear colour"] = png(SIZE, 8, 2, rows, chunk(b"tRNS", struct.pack(">3H", 0, 11, 22)))
    made["png clear deep colour"] = png(SIZE, 16, 2, rows * 2, chunk(b"tRNS", bytes(range(6))))
    p3 = profiles.rgb(profiles.P3, None)
    made["png display p3"] = png(SIZE, 8, 2, rows, icc(p3))
    made["png gamma"] = png(SIZE, 8, 2, rows, chunk(b"gAMA", struct.pack(">I", 100_000)))
    made["png code points"] = png(SIZE, 8, 2, rows, chunk(b"cICP", bytes((12, 13, 0, 1))))
    made["png turned"] = file(picture(), "png", exif=turned(6))
    made["png animation"] = file(picture(), "png", save_all=True, append_images=[picture().rotate(90)], duration=40)
    photo = picture("RGB", (40, 32))
    jpegs: dict[str, dict[str, Any]] = {
        "jpeg": {},
        "jpeg full colour": {"subsampling": 0},
        "jpeg progressive": {"progressive": True},
        "jpeg restarts": {"restart_marker_blocks": 1},
        "jpeg turned": {"exif": turned(8)},
        "jpeg display p3": {"icc_profile": p3},
        "jpeg remark": {"comment": "hello", "xmp": b'<x tiff:Orientation="3"/>'},
    }
    made |= {name: file(photo, "jpeg", **options) for name, options in jpegs.items()}
    made["jpeg grey"] = file(photo.convert("L"), "jpeg", icc_profile=profiles.grey(1.8))
    made["jpeg cmyk"] = file(photo.convert("CMYK"), "jpeg", icc_profile=profiles.cmyk())
    made["jpeg of a phone"] = file(photo, "mpo", save_all=True, append_images=[photo.rotate(180)])
    webps: list[tuple[str, str, dict[str, Any]]] = [
        ("webp", "RGB", {}),
        ("webp alpha", "RGBA", {}),
        ("webp lossless", "RGB", {"lossless": True}),
        ("webp lossless alpha", "RGBA", {"lossless": True}),
        ("webp turned", "RGB", {"exif": turned(5), "xmp": b"<x/>"}),
        ("webp display p3", "RGBA", {"icc_profile": p3}),
    ]
    made |= {name: file(picture(mode), "webp", **options) for name, mode, options in webps}
    made["webp animation"] = file(picture(), "webp", save_all=True, append_images=[picture().rotate(90)], duration=40)
    return made

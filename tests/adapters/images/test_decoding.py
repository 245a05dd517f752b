"""Decoding: the bytes alone determine a picture's kind, its cost and its transparency."""

from __future__ import annotations

import ast
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from lambdas.adapters.images.decoding import Opened, opened
from lambdas.adapters.images.pictures import PillowPictures, decoded
from lambdas.domain.errors import MalformedBody, TooLarge, UnsupportedMediaType
from lambdas.domain.failures import ProviderFailure
from tests.pictures.made import chunk, file, in_jpeg, packed, picture, png, scans, seeds, turned, webp_chunks
from tests.support.work import lines

MAX_PIXELS = 25_000_000
SOUND = seeds()


def open_(data: bytes) -> Opened:
    return opened(data, MAX_PIXELS)


def taken(data: bytes, size: tuple[int, int]) -> None:
    assert open_(data).picture.size == size


def refused(data: bytes, why: str) -> None:
    with pytest.raises(MalformedBody, match=why):
        open_(data)


def array(data: bytes) -> Any:
    return np.asarray(open_(data).picture)


def test_nothing_else_opens_a_picture() -> None:
    where = set()
    for path in Path("lambdas").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Attribute) or node.attr not in ("open", "WebPAnimDecoder"):
                continue
            if isinstance(node.value, ast.Name) and node.value.id in ("Image", "_webp"):
                where.add(path.as_posix())
    # the demo opens a reference image, which is no client's file but what `take` has written of it
    assert where == {"lambdas/adapters/images/decoding.py", "lambdas/providers/demo/provider.py"}


@pytest.mark.parametrize("name", sorted(SOUND))
def test_every_sound_file_is_taken_as_pillow_sees_it(name: str) -> None:
    data = SOUND[name]
    with Image.open(io.BytesIO(data)) as seen:
        right = ImageOps.exif_transpose(seen)
        made = open_(data)
        assert made.picture.size == right.size
        assert made.picture.mode in ("RGB", "RGBA")
        assert not made.picture.info
        if not made.warnings and "grey" not in name and " clear" not in name and "deep" not in name:
            assert np.array_equal(np.asarray(made.picture.convert("RGBA")), np.asarray(right.convert("RGBA")))
    assert decoded(data).tobytes() == made.picture.tobytes()


@pytest.mark.parametrize("name", sorted(SOUND))
def test_what_is_taken_is_the_picture_and_nothing_else(name: str) -> None:
    said: list[str] = []
    data, media_type = PillowPictures().take(SOUND[name], said.append)
    right = open_(SOUND[name])
    again = open_(data)
    assert said == list(right.warnings)
    assert (media_type, again.warnings, again.picture.size) == (f"image/{again.kind}", (), right.picture.size)
    for note in (b"hello", b"GPS", b"Exif", b"ICC", b"iCCP", b"xmp", b"<x", b"Orientation"):
        assert note not in data
    if right.kind == "jpeg":
        assert media_type == "image/jpeg"
        assert len(data) < 3 * len(SOUND[name])
    if right.file is not None or not right.lossy:
        assert np.array_equal(np.asarray(again.picture), np.asarray(right.picture))


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_clear_grey_of_a_png_is_told_in_its_own_depth(depth: int) -> None:
    most = (1 << depth) - 1
    values = [n * most // 23 for n in range(24)] * 16
    for key in {0, most // 3, most // 2, most}:
        sent = key if depth == 16 else key | 0xFF00 << max(0, depth - 8) & ~most & 0xFFFF  # upper bits do not count
        data = png((24, 16), depth, 0, packed(values, 24, depth), chunk(b"tRNS", struct.pack(">H", sent)))
        made = array(data)
        wanted = np.array(values).reshape(16, 24)
        assert np.array_equal(made[..., 3], np.where(wanted == key, 0, 255))
        grey = wanted >> 8 if depth == 16 else wanted * 255 // most
        assert np.array_equal(made[..., 0], grey)


@pytest.mark.parametrize("depth", [8, 16])
def test_the_clear_colour_of_a_png_is_told_in_its_own_depth(depth: int) -> None:
    rng = np.random.default_rng(1)
    values = rng.integers(0, 1 << depth, (16, 24, 3))
    key = values[3, 4].copy()
    if depth == 16:
        values[5, 6] = key ^ 1  # the same in its upper 8 bits, and another colour
    rows = values.astype(">u2" if depth == 16 else np.uint8).tobytes()
    made = array(png((24, 16), depth, 2, rows, chunk(b"tRNS", struct.pack(">3H", *map(int, key)))))
    assert np.argwhere(made[..., 3] == 0).tolist() == [[3, 4]]
    assert np.array_equal(made[..., :3], values >> (depth - 8))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_the_clear_colours_of_a_palette(depth: int) -> None:
    most = (1 << depth) - 1
    values = [n % (most + 1) for n in range(24 * 16)]
    palette = chunk(b"PLTE", bytes(n * 5 % 256 for n in range(3 * (most + 1))))
    for levels in (b"\0", b"\x40", bytes((255, 0)), bytes(range(most + 1))):
        made = array(png((24, 16), depth, 3, packed(values, 24, depth), palette, chunk(b"tRNS", levels)))
        right = np.array([levels[n] if n < len(levels) else 255 for n in values]).reshape(16, 24)
        assert np.array_equal(made[..., 3], right)


@pytest.mark.parametrize("depth", [2, 4])
def test_the_clear_ground_of_a_shallow_png_is_clear(depth: int) -> None:
    values = [(1 << depth) - 1] * 200 + [1] * 56 + [0] * 128
    rows = packed(values, 24, depth)
    clear = chunk(b"tRNS", struct.pack(">H", (1 << depth) - 1))
    alpha = array(png((24, 16), depth, 0, rows, clear))[..., 3]
    assert int((alpha == 0).sum()) == 200


@pytest.mark.parametrize("how", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_all_orientations(kind: str, how: int) -> None:
    data = file(picture(), kind, exif=turned(how))
    with Image.open(io.BytesIO(data)) as seen:
        right = np.asarray(ImageOps.exif_transpose(seen).convert("RGB"))
    assert np.array_equal(array(data), right)


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\3\0\0\0\1\0\x09\0\0",
        b"\0" * 40,
    ],
)
def test_a_broken_note_turns_nothing(exif: bytes) -> None:
    for data in (
        in_jpeg(SOUND["jpeg"], (0xE1, b"Exif\0\0" + exif)),
        SOUND["png colour 2 of 8"][:33] + chunk(b"eXIf", exif) + SOUND["png colour 2 of 8"][33:],
    ):
        assert open_(data).picture.size in ((40, 32), (24, 16))


def test_the_first_picture_of_a_phone_s_jpeg_is_taken() -> None:
    data, media_type = PillowPictures().take(SOUND["jpeg of a phone"])
    assert media_type == "image/jpeg"
    assert np.array_equal(array(data), array(file(picture("RGB", (40, 32)), "jpeg")))


def test_a_smaller_first_frame_stands_at_its_place() -> None:
    frame = SOUND["webp lossless"][12:]
    head = struct.pack("<I", 0)[:3] + struct.pack("<I", 2)[:3]
    head += struct.pack("<I", 23)[:3] + struct.pack("<I", 15)[:3] + b"\0\0\0\0"
    canvas = bytes((0x12, 0, 0, 0)) + struct.pack("<I", 39)[:3] + struct.pack("<I", 29)[:3]
    made = array(webp_chunks((b"VP8X", canvas), (b"ANIM", bytes(6)), (b"ANMF", head + frame)))
    assert made.shape == (30, 40, 4)
    assert np.array_equal(made[4:20, :24, :3], np.asarray(picture()))
    assert int((made[..., 3] == 255).sum()) == 24 * 16


KINDS = {
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "AVIF": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1",
    "an MP4 film": b"\0\0\0\x18ftypisom\0\0\2\0isommp41",
    "GIF": b"GIF89a\1\0\1\0\0\0\0",
    "TIFF": b"II*\0\x08\0\0\0",
    "a camera's raw file": b"II*\0\x10\0\0\0CR\2\0",
    "BMP": struct.pack("<2sIII", b"BM", 70, 0, 54) + struct.pack("<I", 40) + bytes(40),
    "PDF": b"%PDF-1.7\n",
    "JPEG XL": b"\xff\x0a\xfa\x1f",
    "SVG": b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a drawing -->\n<svg xmlns='http://www.w3.org/2000/svg'/>",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "ICO": b"\0\0\1\0\1\0",
    "HTML": b"<!DOCTYPE html><html>",
}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_other_kinds_are_named_and_no_decoder_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(UnsupportedMediaType, match=name):
        open_(KINDS[name] + bytes(100))


@pytest.mark.parametrize(
    ("brands", "name"),
    [
        (b"mif1\0\0\0\0mif1avif", "AVIF"),
        (b"mif1\0\0\0\0mif1heic", "HEIC"),
        (b"msf1\0\0\0\0hevcmsf1", "HEIC"),
        (b"mif1", "HEIC"),
    ],
)
def test_a_file_that_names_its_family_is_named_by_the_member(brands: bytes, name: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=name):
        open_(struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + b"\0\0\1\0meta")


def test_an_unknown_kind_is_another_type_and_what_is_no_file_is_unreadable() -> None:
    with pytest.raises(UnsupportedMediaType, match="another type"):
        open_(bytes(range(200, 256)) * 9)
    for data in (b"", b"hello", b"/home/me/product.png", b"\x89PN", b"\xff", b"RIFF\0\0"):
        with pytest.raises(MalformedBody, match="whole PNG, JPEG or WebP"):
            open_(data)


def test_what_begins_as_one_of_the_three_and_is_broken_is_unreadable() -> None:
    plain = SOUND["png colour 2 of 8"]
    for data in (
        b"\x89PNG\n\x1a\n" + plain[8:],
        plain[:33] + chunk(b"ABCD", b"x") + plain[33:],
        plain.replace(b"IDAT", b"IDAQ"),
        plain[:40] + bytes((plain[40] ^ 1,)) + plain[41:],
        plain[:-13] + bytes((plain[-13] ^ 1,)) + plain[-12:],
        png((24, 16), 8, 3, bytes(24 * 16)),
        png((24, 16), 8, 3, bytes(24 * 16), chunk(b"PLTE", b"abcd")),
        png((24, 16), 3, 0, bytes(24 * 16)),
        png((24, 16), 8, 2, bytes(24 * 16 * 3), chunk(b"tRNS", b"\0\1")),
        in_jpeg(SOUND["jpeg"], (0xC8, b"x" * 9))[:-2],
        SOUND["jpeg"][:2] + b"junk" + SOUND["jpeg"][2:],
        SOUND["webp"][:-2],
        webp_chunks((b"VP8 ", b"x" * 30)),
        webp_chunks((b"ICCP", b"x" * 30)),
    ):
        with pytest.raises(MalformedBody):
            open_(data)
        with pytest.raises(ProviderFailure) as failed:
            decoded(data)
        assert failed.value.code == "bad_answer"


def _jpeg_of(width: int, height: int) -> bytes:
    data = SOUND["jpeg"]
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def _webp_of(width: int, height: int) -> bytes:
    data = SOUND["webp"]
    return data[:26] + struct.pack("<HH", width, height) + data[30:]


def _png_of(width: int, height: int) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return SOUND["png colour 2 of 8"][:8] + head + SOUND["png colour 2 of 8"][33:]


@pytest.mark.parametrize("make", [_png_of, _jpeg_of, _webp_of])
def test_a_size_that_is_declared_is_believed_before_anything_is_decoded(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "open", None)
    with pytest.raises(TooLarge, match="25000000 pixels at the most"):
        open_(make(16_000, 16_000))
    for size in ((0, 9), (9, 0)):
        with pytest.raises(MalformedBody, match="no pixels"):
            open_(make(*size))


def test_scans_are_counted_and_weighed_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    small = file(picture(), "jpeg", progressive=True)
    assert open_(scans(small, 80)).picture.size == (24, 16)
    with pytest.raises(MalformedBody, match="scans"):
        open_(scans(small, 100))
    large = file(Image.new("L", (4992, 4992), 90), "jpeg", progressive=True)
    monkeypatch.setattr(Image, "open", None)
    for count in (60, 5000, 100_000):
        assert lines(refused, scans(large, count), "scans") < 4000


def test_parts_without_number_or_end_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of Python for a byte at the most, and of many colour profiles one is unpacked."""
    base = SOUND["png colour 2 of 8"]
    profile = chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(1_000_000)))
    filled = SOUND["jpeg"][:2] + b"\xff" * 4_000_000 + SOUND["jpeg"][2:]
    unpackers: list[None] = []
    unpacker = zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", lambda: (unpackers.append(None), unpacker())[1])
    for data, size in (
        (base[:33] + profile * 3000 + base[33:], (24, 16)),
        (filled, (40, 32)),
        (base[:33] + chunk(b"zzZz", bytes(5_000_000)) + base[33:], (24, 16)),
    ):
        assert lines(taken, data, size) < len(data)
    assert len(unpackers) == 1
    for data in (
        base[:33] + chunk(b"teXt", b"") * 300_000 + base[33:],
        SOUND["jpeg"][:2] + b"\xff\xfe\0\2" * 1_000_000 + SOUND["jpeg"][2:],
        webp_chunks(*[(b"JUNK", b"")] * 500_000),
    ):
        assert lines(refused, data, "parts|cut off") < len(data)


@pytest.mark.parametrize("error", [AssertionError, TypeError, struct.error, MemoryError, KeyError, RecursionError])
def test_whatever_a_codec_raises_is_a_known_end(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error("from a codec")

    monkeypatch.setattr("lambdas.adapters.images.decoding._decoded", fails)
    with pytest.raises(MalformedBody, match="damaged"):
        open_(SOUND["jpeg"])
    with pytest.raises(ProviderFailure) as failed:
        decoded(SOUND["jpeg"])
    assert (failed.value.code, failed.value.paid) == ("bad_answer", "unknown")


@pytest.mark.parametrize("exact", [True, False])
def test_a_jpeg_is_not_stored_as_a_png_of_many_times_its_size(exact: bool) -> None:
    noise = Image.effect_noise((800, 600), 60).convert("RGB")
    sent = file(noise, "jpeg", quality=60, **({} if exact else {"exif": turned(6)}))
    data, media_type = PillowPictures().take(sent)
    assert media_type == "image/jpeg"
    assert len(data) <= (1 if exact else 4) * len(sent)
    if exact:
        assert np.array_equal(array(data), array(sent))


@pytest.mark.parametrize("how", range(2, 9))
def test_a_jpeg_on_its_side_whose_pixels_must_stay_is_stored_as_it_lies(how: int) -> None:
    sent = file(picture("RGB", (40, 32)), "jpeg", exif=turned(how), comment="hello")
    data, media_type = PillowPictures().take(sent, exact=True)
    assert media_type == "image/jpeg"
    assert not any(note in data for note in (b"hello", b"GPS", b"\x88\x25"))
    assert np.array_equal(array(data), array(sent))
    with Image.open(io.BytesIO(data)) as seen:
        assert dict(seen.getexif()) == {0x0112: how}
        assert np.array_equal(np.asarray(ImageOps.exif_transpose(seen)), array(sent))
    upright, _ = PillowPictures().take(sent)
    with Image.open(io.BytesIO(upright)) as seen:
        assert (seen.size, dict(seen.getexif())) == (open_(sent).picture.size, {})

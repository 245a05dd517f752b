"""The adapter of the port Pictures: exact sizes and formats from any answer of a provider, and refusals."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from lambdas.adapters.images.files import outlined
from lambdas.adapters.images.pictures import MAX_PIXELS, PillowPictures
from lambdas.domain.errors import TooLarge
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.request import Format
from tests.support.properties import examples

FORMATS = get_args(Format)
fit = PillowPictures().fit
NOTES = {"exif", "icc_profile", "xmp", "comment", "prompt", "XML:com.adobe.xmp", "photoshop", "parsed_exif"}


def _picture(size: tuple[int, int] = (96, 64), mode: str = "RGB") -> Image.Image:
    shade = Image.radial_gradient("L").resize(size)
    return Image.merge("RGB", (shade, shade.rotate(180), Image.new("L", size, 90))).convert(mode)


def _bytes(picture: Image.Image | None = None, fmt: str = "png", **options: Any) -> bytes:
    out = io.BytesIO()
    (picture or _picture()).save(out, fmt, **options)
    return out.getvalue()


def _open(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def _bare(data: bytes) -> None:
    """No note of any kind is left in the file."""
    picture = _open(data)
    assert not set(picture.info) & NOTES
    assert not picture.getexif()
    assert getattr(picture, "n_frames", 1) == 1


def _refused(data: bytes) -> None:
    with pytest.raises(ProviderFailure) as caught:
        fit(data, (64, 64), "png")
    assert (caught.value.code, caught.value.paid) == ("bad_answer", "unknown")


@pytest.mark.parametrize("fmt", FORMATS)
def test_what_fits_is_passed_through(fmt: str) -> None:
    data = _bytes(fmt=fmt)
    assert fit(data, (96, 64), fmt) == (data, (96, 64))


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}])
def test_every_plain_jpeg_is_passed_through(options: dict[str, Any]) -> None:
    data = _bytes(_picture((256, 256)), "jpeg", quality=95, **options)
    assert fit(data, (256, 256), "jpeg")[0] is data


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_every_plain_webp_is_passed_through(options: dict[str, Any], mode: str) -> None:
    picture = _picture(mode=mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    data = _bytes(picture, "webp", **options)
    assert fit(data, (96, 64), "webp")[0] is data


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_every_format_to_every_other(source: str, target: str) -> None:
    data, came = fit(_bytes(fmt=source), (80, 80), target)
    assert came == (96, 64)
    assert (str(_open(data).format).lower(), _open(data).size) == (target, (80, 80))
    _bare(data)


@examples(60)
@given(
    came=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    size=st.tuples(st.integers(1, 32), st.integers(1, 32)).map(lambda s: (s[0] * 8, s[1] * 8)),
    fmt=st.sampled_from(FORMATS),
)
def test_the_size_is_always_exact(came: tuple[int, int], size: tuple[int, int], fmt: str) -> None:
    data, told = fit(_bytes(_picture(came)), size, fmt)
    assert (told, _open(data).size, str(_open(data).format).lower()) == (came, size, fmt)


def test_it_covers_and_crops_at_the_centre() -> None:
    wide = Image.new("RGB", (300, 100), "red")
    wide.paste("blue", (100, 0, 200, 100))
    picture = _open(fit(_bytes(wide), (64, 64), "png")[0])
    assert {picture.getpixel(at) for at in ((4, 4), (32, 32), (59, 59))} == {(0, 0, 255)}


def test_a_note_of_any_kind_makes_it_encoded_anew() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("prompt", "<script>alert(1)</script>")
    text.add_itxt("XML:com.adobe.xmp", "<x/>", zip=True)
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}
    icc = b"\0" * 128
    made: list[tuple[str, dict[str, Any]]] = [
        ("png", {"pnginfo": text}),
        ("png", {"exif": exif}),
        ("png", {"icc_profile": icc}),
        ("jpeg", {"exif": exif}),
        ("jpeg", {"comment": "hello"}),
        ("jpeg", {"icc_profile": icc}),
        ("jpeg", {"xmp": b"<x/>"}),
        ("webp", {"exif": exif}),
        ("webp", {"xmp": b"<x/>"}),
        ("webp", {"icc_profile": icc}),
    ]
    for fmt, options in made:
        data = _bytes(fmt=fmt, **options)
        answer, came = fit(data, (96, 64), fmt)
        assert answer != data, (fmt, options)
        assert came == (96, 64)
        _bare(answer)
        for left in (b"script", b"GPS", b"hello", b"<x/>"):
            assert left not in answer


def test_exif_turns_the_picture_and_goes() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    for fmt in ("jpeg", "png", "webp"):
        answer, came = fit(_bytes(fmt=fmt, exif=exif), (64, 96), fmt)
        assert came == (64, 96)
        _bare(answer)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("tail", [b"<script>alert(1)</script>", b"PK\x05\x06" + b"\0" * 18, b"\0"])
def test_a_polyglot_loses_its_tail(fmt: str, tail: bytes) -> None:
    answer, _ = fit(_bytes(fmt=fmt) + tail, (96, 64), fmt)
    outline = outlined(answer)
    assert outline
    assert (outline.kind, outline.plain) == (fmt, True)
    assert (b"script" in answer, _open(answer).size) == (False, (96, 64))
    _bare(answer)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_unknown_and_damaged_chunks_are_not_passed_on() -> None:
    data = _bytes()
    unknown = data[:33] + _chunk(b"caBX", b"some manifest") + data[33:]
    answer, _ = fit(unknown, (96, 64), "png")
    assert b"caBX" not in answer
    end = data[:-12] + _chunk(b"IEND", b"hidden")
    answer, _ = fit(end, (96, 64), "png")
    assert b"hidden" not in answer
    thumb = bytearray(_bytes(fmt="jpeg"))
    at = thumb.index(b"JFIF") - 2
    thumb[at : at + 16] = struct.pack(">H", 16 + 12) + bytes(thumb[at + 2 : at + 16]) + b"hidden words"
    answer, _ = fit(bytes(thumb), (96, 64), "jpeg")
    assert b"hidden" not in answer


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 0.95])
def test_truncated(fmt: str, share: float) -> None:
    data = _bytes(_picture((200, 200)), fmt)
    _refused(data[: int(len(data) * share)])


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("cut", [1, 2, 4, 12, 13])
def test_truncated_by_a_few_bytes(fmt: str, cut: int) -> None:
    _refused(_bytes(_picture((201, 201)), fmt)[:-cut])


@pytest.mark.parametrize("fmt", ["gif", "tiff", "bmp", "eps", "pdf", "ico", "ppm", "tga", "jpeg2000", "pcx", "avif"])
def test_other_formats_under_any_name(fmt: str) -> None:
    Image.init()
    if fmt.upper() not in Image.SAVE:
        pytest.skip(f"this Pillow cannot write {fmt}")
    _refused(_bytes(fmt=fmt))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0",
        b"RIFF\x04\0\0\0WEBP",
        b"<html></html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a" + b"\0" * 100,
        b"\0" * 10_000,
    ],
)
def test_no_picture_at_all(data: bytes) -> None:
    _refused(data)


def _png(width: int, height: int, depth: int, colour: int, raw: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(raw, 9)) + _chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [6400, 9500, 14_000, 60_000])
def test_a_decode_bomb_is_refused_before_it_is_decoded(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert side * side > MAX_PIXELS
    decodings: list[object] = []
    monkeypatch.setattr("lambdas.adapters.images.decoding._decoded", decodings.append)
    _refused(_png(side, side, 8, 0, b"\0" * 5_000_000))
    assert decodings == []


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_bomb_is_left_out_before_anything_reads_it(kind: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = zlib.compress(b"\0" * 80_000_000, 9)
    body = {b"zTXt": b"a\0\0", b"iTXt": b"XML:com.adobe.xmp\0\1\0\0\0", b"iCCP": b"a\0\0"}[kind] + packed
    data = _bytes()
    read: list[bytes] = []
    open_file = Image.open
    monkeypatch.setattr(Image, "open", lambda of, **how: (read.append(of.getvalue()), open_file(of, **how))[1])
    answer, _ = fit(data[:33] + _chunk(kind, body) + data[33:], (96, 64), "png")
    assert [kind in file for file in read] == [False]
    assert (_open(answer).tobytes(), kind in answer) == (_open(data).tobytes(), False)


def test_fewer_data_than_the_header_says() -> None:
    _refused(_png(1000, 1000, 8, 2, b"\0" * 1000))


def test_a_wrong_checksum_in_the_data() -> None:
    data = bytearray(_bytes(_picture((200, 200))))
    data[len(data) // 2] ^= 0xFF
    try:
        answer, _ = fit(bytes(data), (200, 200), "png")
    except ProviderFailure as failure:
        assert failure.code == "bad_answer"
    else:
        assert answer != bytes(data)


def test_sixteen_bits() -> None:
    grey = _png(8, 8, 16, 0, (b"\0" + struct.pack(">8H", *[40_000] * 8)) * 8)
    assert _open(fit(grey, (8, 8), "png")[0]).convert("RGB").getpixel((4, 4)) == (156, 156, 156)
    colour = _png(8, 8, 16, 2, (b"\0" + struct.pack(">24H", *[40_000, 0, 65_535] * 8)) * 8)
    assert _open(fit(colour, (16, 16), "png")[0]).getpixel((4, 4)) == (156, 0, 255)


def test_palette_with_transparency_keeps_it() -> None:
    data = _bytes(_picture().quantize(8), transparency=bytes([0] * 4 + [255] * 4))
    for fmt in ("png", "webp"):
        answer = _open(fit(data, (48, 32), fmt)[0])
        assert answer.mode == "RGBA"
        assert answer.getchannel("A").getextrema() == (0, 255)


def test_transparency_becomes_white_paper_in_jpeg() -> None:
    clear = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    answer = _open(fit(_bytes(clear), (64, 64), "jpeg")[0])
    assert (answer.mode, answer.getpixel((30, 30))) == ("RGB", (255, 255, 255))
    half = Image.new("LA", (64, 64), (0, 128))
    assert _open(fit(_bytes(half), (64, 64), "jpeg")[0]).getpixel((30, 30)) == (127, 127, 127)


def test_scaling_lets_no_hidden_colour_bleed() -> None:
    picture = Image.new("RGBA", (64, 64), (0, 0, 255, 255))
    picture.paste((255, 0, 0, 0), (0, 0, 32, 64))
    answer = _open(fit(_bytes(picture), (24, 24), "png")[0])
    assert all(r < 10 for r, _, _, a in np.asarray(answer).reshape(-1, 4) if a > 100)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_mode_of_png(mode: str) -> None:
    picture = Image.new("I;16", (96, 64), 900) if mode == "I;16" else _picture(mode=mode)
    answer = _open(fit(_bytes(picture), (40, 40), "png")[0])
    assert (answer.mode, answer.size) == ("RGBA" if mode in ("LA", "RGBA") else "RGB", (40, 40))


def test_cmyk_jpeg() -> None:
    data = _bytes(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "jpeg")
    answer = _open(fit(data, (64, 64), "jpeg")[0])
    assert answer.mode == "RGB"
    red, green, blue = answer.getpixel((9, 9))  # type: ignore[misc]
    assert (red > 200, green < 60, blue < 60) == (True, True, True)


@pytest.mark.parametrize("fmt", ["png", "webp"])
def test_an_animation_gives_its_first_frame(fmt: str) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "green", "blue")]
    data = _bytes(frames[0], fmt, save_all=True, append_images=frames[1:], duration=100)
    assert _open(data).n_frames == 3  # type: ignore[attr-defined]
    answer = fit(data, (64, 64), fmt)[0]
    _bare(answer)
    red, green, blue = _open(answer).convert("RGB").getpixel((9, 9))  # type: ignore[misc]
    assert (red > 240, green < 15, blue < 15) == (True, True, True)


def test_one_pixel_and_thin_lines() -> None:
    assert _open(fit(_bytes(Image.new("RGB", (1, 1), "red")), (2048, 64), "png")[0]).getpixel((9, 9)) == (255, 0, 0)
    assert _open(fit(_bytes(Image.new("RGB", (1, 5000))), (2048, 64), "jpeg")[0]).size == (2048, 64)
    assert _open(fit(_bytes(Image.new("RGB", (5000, 1))), (64, 2048), "webp")[0]).size == (64, 2048)


def test_the_same_bytes_every_time() -> None:
    data = _bytes(_picture((300, 200)))
    for fmt in FORMATS:
        assert fit(data, (128, 128), fmt) == fit(data, (128, 128), fmt)


@pytest.mark.parametrize("fmt", FORMATS)
def test_what_is_large_enough_is_handed_on_untouched(fmt: str) -> None:
    data = _bytes(fmt=fmt)
    assert PillowPictures().at_least(data, 64) is data


@pytest.mark.parametrize(("size", "made"), [((8, 8), (64, 64)), ((20, 400), (64, 1280)), ((63, 63), (64, 64))])
def test_what_is_too_small_is_enlarged_in_proportion(size: tuple[int, int], made: tuple[int, int]) -> None:
    picture = _open(PillowPictures().at_least(_bytes(_picture(size), "jpeg"), 64))
    assert (picture.size, picture.format) == (made, "PNG")


def test_what_would_become_far_too_long_is_refused() -> None:
    with pytest.raises(TooLarge, match="1x20000 pixels is too narrow"):
        PillowPictures().at_least(_bytes(Image.new("RGB", (1, 20_000))), 64)

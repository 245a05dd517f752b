"""Pictures read from requests: turned as they are meant to be seen, and refused where they are none."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from gpu_worker.contract import Refusal
from gpu_worker.pipelines import pictures
from gpu_worker.pipelines.pictures import CONVERTED, fitted, read
from tests.pictures import profiles
from tests.pictures.made import chunk, packed, png, scans, seeds


def file(image: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def test_a_photo_is_turned_as_its_orientation_says() -> None:
    image = Image.new("RGB", (40, 20), "white")
    image.paste("red", (0, 0, 10, 20))
    exif = Image.Exif()
    exif[0x0112] = 6
    made = read(file(image, exif=exif)).rgb
    assert made.shape == (40, 20, 3)
    assert made[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_kind_of_pixel_is_read(mode: str) -> None:
    made = read(file(Image.new(mode, (8, 6))))
    assert made.rgb.shape == (6, 8, 3)
    assert (made.alpha is not None) == (mode in ("LA", "RGBA"))


def test_sixteen_bits_are_refused_rather_than_cut() -> None:
    with pytest.raises(Refusal):
        read(file(Image.new("I;16", (8, 6))))


@pytest.mark.parametrize("kind", ["BMP", "GIF", "TIFF"])
def test_other_kinds_are_refused(kind: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(file(Image.new("RGB", (8, 6)), kind))
    assert refused.value.code == "invalid_request"


@pytest.mark.parametrize("cut", [0, 20, 60, 100])
def test_a_truncated_picture_is_refused(cut: int) -> None:
    whole = file(Image.effect_noise((64, 64), 50))
    with pytest.raises(Refusal):
        read(whole[:cut])


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 40)
    with pytest.raises(Refusal) as refused:
        read(file(Image.new("RGB", (8, 6))))
    assert refused.value.code == "too_large"


def test_what_is_clear_is_white_where_a_model_starts_from_it() -> None:
    image = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert np.asarray(fitted(file(image), 8, 8)).min() == 255


def test_a_fitted_picture_keeps_its_proportions() -> None:
    image = Image.new("RGB", (30, 10), "black")
    image.paste("white", (10, 0, 20, 10))
    assert np.asarray(fitted(file(image), 10, 10)).min() > 200


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_the_clear_grey_of_a_png_is_told_in_its_own_depth(depth: int) -> None:
    most = (1 << depth) - 1
    values = [n * most // 23 for n in range(24)] * 16
    for key in {0, most // 2, most}:
        made = read(png((24, 16), depth, 0, packed(values, 24, depth), chunk(b"tRNS", struct.pack(">H", key))))
        right = np.where(np.array(values).reshape(16, 24) == key, 0, 255)
        assert (made.alpha is None) == (right.min() == 255)
        assert made.alpha is None or np.array_equal(made.alpha, right)


def test_a_deep_picture_whose_clear_colour_cannot_be_told_is_refused() -> None:
    with pytest.raises(Refusal, match="16 bits"):
        read(seeds()["png clear deep colour"])


def test_an_alpha_that_is_nowhere_below_250_says_nothing() -> None:
    """Contract 12.11."""
    image = Image.new("RGBA", (8, 8), (1, 2, 3, 250))
    assert read(file(image)).alpha is None
    image.putpixel((1, 1), (1, 2, 3, 249))
    assert read(file(image)).alpha is not None


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 100, "subsampling": 0})])
def test_colours_are_brought_to_srgb_and_that_is_said(kind: str, options: dict[str, Any]) -> None:
    made = read(
        file(Image.new("RGB", (16, 16), (30, 60, 200)), kind, icc_profile=profiles.rgb(profiles.P3, None), **options)
    )
    assert made.warnings == (CONVERTED,)
    assert np.abs(made.rgb[1, 1].astype(int) - profiles.meant((30, 60, 200), profiles.P3, None)).max() <= 4
    same = read(file(Image.new("RGB", (16, 16), (30, 60, 200)), icc_profile=profiles.rgb(profiles.SRGB, None)))
    assert (same.rgb[1, 1].tolist(), same.warnings) == ([30, 60, 200], ())
    for broken in (b"hello", bytes(128), profiles.cmyk()):
        assert read(file(Image.new("RGB", (16, 16), (30, 60, 200)), icc_profile=broken)).rgb[1, 1].tolist() == [
            30,
            60,
            200,
        ]


def test_what_decoding_costs_is_known_before(monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = (file(Image.new("L", (n, n), 90), "JPEG", progressive=True) for n in (40, 4992))
    assert read(scans(small, 80)).rgb.shape == (40, 40, 3)
    sound = seeds()["png colour 2 of 8"]
    bomb = zlib.compress(bytes(50_000_000), 9)
    opened: list[bytes] = []
    open_file = Image.open
    monkeypatch.setattr(Image, "open", lambda of, **how: (opened.append(of.getvalue()), open_file(of, **how))[1])
    for kind, body in ((b"zTXt", b"a\0\0" + bomb), (b"iCCP", b"a\0\0" + bomb), (b"zzZz", bytes(5_000_000))):
        assert np.array_equal(read(sound[:33] + chunk(kind, body) + sound[33:]).rgb, read(sound).rgb)
    assert len(opened) == 6
    assert set(opened) == {opened[1]}, "the notes are left out"
    monkeypatch.setattr(Image, "open", None)
    for data in (scans(small, 100), scans(large, 60), scans(large, 100_000)):
        with pytest.raises(Refusal):
            read(data)


@pytest.mark.parametrize("name", sorted(seeds()))
def test_every_sound_file_is_read_or_is_too_deep(name: str) -> None:
    if name in ("png grey 16", "png grey 16 clear", "png clear deep colour"):
        with pytest.raises(Refusal, match="16 bits"):
            read(seeds()[name])
        return
    assert read(seeds()[name]).rgb.ndim == 3


@pytest.mark.parametrize("error", [AssertionError, TypeError, struct.error, MemoryError, KeyError])
def test_whatever_a_codec_raises_is_a_refusal(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error("from a codec")

    monkeypatch.setattr(ImageOps, "exif_transpose", fails)
    assert read(seeds()["jpeg turned"]).rgb.shape == (32, 40, 3)
    monkeypatch.setattr(pictures, "_decoded", fails)
    with pytest.raises(Refusal) as refused:
        read(seeds()["jpeg"])
    assert refused.value.code == "invalid_request"

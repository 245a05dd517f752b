"""Conversion to sRGB, compared with arithmetic on primaries and curves instead of a colour library."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from lambdas.adapters.images.colours import CONVERTED, IGNORED
from lambdas.adapters.images.decoding import opened
from lambdas.adapters.images.pictures import PillowPictures
from tests.pictures import profiles
from tests.pictures.made import chunk, file, icc, in_jpeg, png, seeds

COLOURS = [(200, 60, 50), (30, 60, 200), (60, 160, 80), (128, 128, 128), (250, 250, 250), (20, 10, 15), (170, 140, 120)]


def _shown(data: bytes) -> tuple[Any, tuple[str, ...]]:
    made = opened(data, 25_000_000)
    return np.asarray(made.picture)[1, 1].astype(int), made.warnings


def _near(found: Any, right: Any, within: float = 3) -> None:
    assert np.abs(np.asarray(found)[:3] - right).max() <= within, (found, right)


def _square(colour: Any) -> Image.Image:
    return Image.new("RGB", (16, 16), colour)


@pytest.mark.parametrize("colour", COLOURS, ids=str)
@pytest.mark.parametrize(
    ("primaries", "gamma"), [(profiles.P3, None), (profiles.ADOBE, 2.19921875)], ids=["p3", "adobe"]
)
@pytest.mark.parametrize(
    ("kind", "options"),
    [("png", {}), ("jpeg", {"quality": 100, "subsampling": 0}), ("webp", {"lossless": True})],
    ids=["png", "jpeg", "webp"],
)
def test_a_wide_space_looks_as_it_did(colour: Any, primaries: Any, gamma: Any, kind: str, options: Any) -> None:
    data = file(_square(colour), kind, icc_profile=profiles.rgb(primaries, gamma), **options)
    found, said = _shown(data)
    assert said == (CONVERTED,)
    _near(found, profiles.meant(colour, primaries, gamma), 4 if kind == "jpeg" else 3)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize(
    "profile",
    [profiles.rgb(profiles.SRGB, None), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()],
    ids=["by hand", "by a library"],
)
def test_srgb_by_any_hand_needs_nothing_and_says_nothing(kind: str, profile: bytes) -> None:
    plain = _square((10, 200, 77))
    made = opened(file(plain, kind, icc_profile=profile), 25_000_000)
    assert made.warnings == ()
    assert made.picture.tobytes() == opened(file(plain, kind), 25_000_000).picture.tobytes()
    assert made.file is not None


def test_the_alpha_stays_as_it_is() -> None:
    picture = _square((30, 60, 200))
    picture.putalpha(Image.linear_gradient("L").resize((16, 16)))
    made = opened(file(picture, "png", icc_profile=profiles.rgb(profiles.P3, None)), 25_000_000).picture
    assert made.getchannel("A").tobytes() == picture.getchannel("A").tobytes()
    _near(np.asarray(made)[9, 9], profiles.meant((30, 60, 200), profiles.P3, None))


@pytest.mark.parametrize("mode", ["P", "L", "LA", "1"])
def test_a_picture_of_another_mode_with_a_profile(mode: str) -> None:
    made = opened(file(_square((255, 0, 0)).convert(mode), "png", icc_profile=profiles.rgb(profiles.P3, None)), 10**6)
    assert made.picture.mode == ("RGBA" if mode == "LA" else "RGB")
    assert made.warnings == (CONVERTED,)


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_profile_of_greys(mode: str) -> None:
    data = file(Image.new("L", (16, 16), 100).convert(mode), "png", icc_profile=profiles.grey(1.0))
    found, said = _shown(data)
    assert said == (CONVERTED,)
    _near(found, [float(profiles.encoded(np.array(100 / 255)))] * 3)


def test_the_inks_of_a_press() -> None:
    light = [float(profiles.encoded(np.array(((50 + 16) / 116) ** 3)))] * 3
    for inks, right in ((0, 0, 0, 0), [255.0] * 3), ((0, 0, 0, 255), light), ((255, 0, 0, 0), light):
        sent = file(Image.new("CMYK", (16, 16), inks), "jpeg", quality=100, icc_profile=profiles.cmyk())
        found, said = _shown(sent)
        assert said == (CONVERTED,)
        _near(found, right, 5)
    assert PillowPictures().take(sent)[1] == "image/jpeg"


@pytest.mark.parametrize(
    "profile",
    [
        b"\0" * 128,
        b"hello",
        profiles.rgb(profiles.P3, None)[:150],
        profiles.cmyk(),
        profiles.grey(2.2),
        profiles.rgb(profiles.P3, None).replace(b"mntr", b"link"),
        profiles.rgb(profiles.P3, None).replace(b"curv", b"zzzz"),
    ],
)
def test_a_profile_that_cannot_be_used_is_ignored_and_said(profile: bytes) -> None:
    found, said = _shown(file(_square((30, 60, 200)), "png", icc_profile=profile))
    assert (tuple(found), said) == ((30, 60, 200), (IGNORED,))


def test_a_profile_that_is_packed_badly_or_in_missing_parts_is_ignored_and_said() -> None:
    rows = bytes((30, 60, 200)) * 256
    for body in (
        b"x\0\0notzlib",
        b"x\0\1" + b"?" * 9,
        b"x" * 90,
        b"x\0\0" + icc(profiles.rgb(profiles.P3, None))[12:-30],
    ):
        found, said = _shown(png((16, 16), 8, 2, rows, chunk(b"iCCP", body)))
        assert (tuple(found), said) == ((30, 60, 200), (IGNORED,))
    profile = profiles.rgb(profiles.P3, None)
    parts = [(0xE2, b"ICC_PROFILE\0\1\3" + profile[:1000]), (0xE2, b"ICC_PROFILE\0\3\3" + profile[1000:])]
    assert _shown(in_jpeg(seeds()["jpeg"], *parts))[1] == (IGNORED,)
    whole = [(0xE2, b"ICC_PROFILE\0\2\2" + profile[1000:]), (0xE2, b"ICC_PROFILE\0\1\2" + profile[:1000])]
    assert _shown(in_jpeg(seeds()["jpeg"], *whole))[1] == (CONVERTED,)


def _tagged(colour: Any, *chunks: bytes) -> bytes:
    return png((16, 16), 8, 2, bytes(colour) * 256, *chunks)


def _gamma(value: float) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))


def _chroma(primaries: Any) -> bytes:
    points = (profiles.D65, *primaries)
    return chunk(b"cHRM", b"".join(struct.pack(">II", round(x * 100_000), round(y * 100_000)) for x, y in points))


@pytest.mark.parametrize("colour", COLOURS, ids=str)
def test_gamma_and_chroma_are_honoured(colour: Any) -> None:
    found, said = _shown(_tagged(colour, _gamma(1.0)))
    assert said == (CONVERTED,)
    _near(found, profiles.meant(colour, profiles.SRGB, 1.0))
    _near(
        _shown(_tagged(colour, _gamma(1 / 1.8), _chroma(profiles.ADOBE)))[0],
        profiles.meant(colour, profiles.ADOBE, 1.8),
    )
    _near(_shown(_tagged(colour, _gamma(0.45455), _chroma(profiles.P3)))[0], profiles.meant(colour, profiles.P3, None))


@pytest.mark.parametrize(
    "chunks",
    [
        (_gamma(0.45455),),
        (_gamma(0.45455), _chroma(profiles.SRGB)),
        (chunk(b"sRGB", b"\0"), _gamma(1.0), _chroma(profiles.P3)),
        (chunk(b"cICP", bytes((1, 13, 0, 1))), _gamma(1.0)),
        (chunk(b"cICP", bytes((1, 13, 0, 1))), icc(profiles.rgb(profiles.P3, None))),
        (chunk(b"gAMA", bytes(4)),),
        (chunk(b"gAMA", b"xx"),),
    ],
)
def test_what_means_srgb_changes_nothing(chunks: tuple[bytes, ...]) -> None:
    found, said = _shown(_tagged((30, 60, 200), *chunks))
    assert (tuple(found), said) == ((30, 60, 200), ())


@pytest.mark.parametrize("colour", COLOURS, ids=str)
@pytest.mark.parametrize(
    ("code", "primaries", "gamma"),
    [((12, 13), profiles.P3, None), ((9, 8), profiles.BT2020, 1.0), ((1, 4), profiles.SRGB, 2.2)],
)
def test_code_points_are_honoured_and_go_before_a_profile(colour: Any, code: Any, primaries: Any, gamma: Any) -> None:
    tagged = _tagged(colour, icc(profiles.rgb(profiles.ADOBE, 2.2)), chunk(b"cICP", bytes((*code, 0, 1))))
    found, said = _shown(tagged)
    assert said == (CONVERTED,)
    _near(found, profiles.meant(colour, primaries, gamma))


def test_highlights_beyond_paper_are_cut_and_the_rest_is_seen() -> None:
    for transfer, paper in ((16, 148), (18, 191)):  # the numbers of 203 candelas a square metre
        found, _ = _shown(_tagged((paper,) * 3, chunk(b"cICP", bytes((9, transfer, 0, 1)))))
        assert 250 <= min(found) <= 255
        found, _ = _shown(_tagged((paper // 2,) * 3, chunk(b"cICP", bytes((9, transfer, 0, 1)))))
        assert 20 < max(found) < 200


def test_code_points_that_nobody_knows_and_impossible_primaries_are_ignored_and_said() -> None:
    for chunks in (chunk(b"cICP", bytes((77, 13, 0, 1))), chunk(b"cHRM", bytes(32))):
        assert _shown(_tagged((30, 60, 200), chunks))[1] == (IGNORED,)

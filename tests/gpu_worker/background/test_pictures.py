"""Pictures read from requests: turned as they are meant to be seen, and refused where they are none."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gpu_worker.contract import Refusal
from gpu_worker.pipelines import pictures
from gpu_worker.pipelines.pictures import fitted, read


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
    monkeypatch.setattr(pictures, "MOST_PIXELS", 40)
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

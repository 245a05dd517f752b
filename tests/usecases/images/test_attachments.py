"""Uploaded images: any spelling of base64 and data URIs, and one limit for a whole request."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Callable
from urllib.parse import quote

import pytest
from PIL import Image

from lambdas.adapters.images.pictures import PillowPictures
from lambdas.domain.errors import MalformedBody, TooLarge, UnsupportedMediaType
from lambdas.usecases.images.attachments import MAX_REQUEST_PIXELS, Intake, image_bytes
from tests.pictures.made import seeds
from tests.support.fakes import Fakes

JPEG = seeds()["jpeg"]
TEXT = base64.b64encode(JPEG).decode()
LABELS = [
    "image/jpeg",
    "image/jpg",
    "IMAGE/PNG",
    "image/gif",
    "application/octet-stream",
    "",
    "image/png;name=a%20b.png",
    'image/png;name="a,b.png"',
    "image/jpeg;charset=utf-8;x=1",
]


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"  {TEXT}\n",
        "\ufeff" + TEXT,
        "\r\n".join(textwrap.wrap(TEXT, 76)),
        " ".join(textwrap.wrap(TEXT, 5)),
        TEXT.rstrip("="),
        base64.urlsafe_b64encode(JPEG).decode(),
        base64.urlsafe_b64encode(JPEG).decode().rstrip("="),
        *[f"data:{label};base64,{TEXT}" for label in LABELS],
        f"DATA:image/jpeg; BASE64 ,{TEXT}",
        f"\n data:image/jpeg;base64,\n{TEXT}\n",
        f"data:image/jpeg;base64,{quote(TEXT, safe='')}",
        f"data:image/jpeg,{quote(JPEG)}",
    ],
)
def test_every_spelling_gives_the_same_bytes(text: str) -> None:
    assert image_bytes(text, "image") == JPEG


@pytest.mark.parametrize("cut", range(4))
def test_every_length_is_read(cut: int) -> None:
    data = JPEG[: len(JPEG) - cut]
    for text in (base64.b64encode(data).decode(), base64.b64encode(data).decode().rstrip("=")):
        assert image_bytes(text, "image") == data


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("data:image/png;base64,", "empty"),
        ("!!!", "letter number 1"),
        ("AAAA*AAA", "letter number 5"),
        ("AAAA=AAA", "letter number 5"),
        ("AAAAA", "cut off"),
        ("AAAA====", "cut off"),
        ("ÄÖÜß", "letter number 1"),
        ("/home/me/product.png", "letter number 17"),
        ("https://example.com/a.png", "letter number 6"),
    ],
)
def test_what_is_no_base64_is_said_with_its_place(text: str, why: str) -> None:
    with pytest.raises(MalformedBody, match=why) as refused:
        image_bytes(text, "mask")
    assert [e.field for e in refused.value.errors] == ["mask"]


def _blank(width: int, height: int, shade: int = 0) -> str:
    out = io.BytesIO()
    Image.new("L", (width, height), shade).save(out, "PNG", compress_level=1)
    return base64.b64encode(out.getvalue()).decode()


def test_a_request_has_a_budget_of_pixels_and_equal_pictures_are_one() -> None:
    intake = Intake("acme", Fakes(pictures=PillowPictures()), 1000)
    for number in range(50):
        intake.count(_blank(20, 20), f"requests.{number}.reference_image")
    intake.count(_blank(20, 20, 1), "requests.50.reference_image")
    with pytest.raises(TooLarge, match="1000 pixels together") as refused:
        intake.count(_blank(20, 20, 2), "requests.51.reference_image")
    assert [e.field for e in refused.value.errors] == ["requests.51.reference_image"]
    intake.count("!!!", "x")  # refused when it is taken
    intake.count(base64.b64encode(b"GIF89a").decode(), "x")
    assert intake.take(_blank(20, 20), "reference_image").media_type == "image/png"
    with pytest.raises(TooLarge):
        intake.take(_blank(20, 20, 3), "reference_image")


def test_the_budget_is_counted_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    intake = Intake("acme", Fakes(pictures=PillowPictures()))
    sides = [(5000, 4990 + n) for n in range(3)]
    texts = [_blank(*side) for side in sides]
    monkeypatch.setattr(Image, "open", None)
    assert sum(a * b for a, b in sides[:2]) < MAX_REQUEST_PIXELS < sum(a * b for a, b in sides)
    for text in texts[:2]:
        intake.count(text, "image")
    with pytest.raises(TooLarge):
        intake.count(texts[2], "image")


def test_each_picture_is_decoded_once_and_has_one_key() -> None:
    taken = []

    class Counted(PillowPictures):
        def take(self, data: bytes, warn: Callable[[str], object] = str, *, exact: bool = False) -> tuple[bytes, str]:
            taken.append(data)
            return super().take(data, warn, exact=exact)

    deps = Fakes(pictures=Counted())
    intake = Intake("acme", deps)
    attached = {intake.take(text, "image") for text in (TEXT, f"data:;base64,{TEXT}") * 20}
    assert len(attached) == len(taken) == 1
    assert attached.pop().data == JPEG
    assert deps.blobs.objects == {}


def test_what_is_wrong_names_the_field_whatever_it_is() -> None:
    intake = Intake("acme", Fakes(pictures=PillowPictures()))
    for data, error in ((b"%PDF-1.7", UnsupportedMediaType), (JPEG[:-9], MalformedBody), (b"hello", MalformedBody)):
        with pytest.raises(error) as refused:
            intake.take(base64.b64encode(data).decode(), "reference_image")
        assert [e.field for e in refused.value.errors] == ["reference_image"]

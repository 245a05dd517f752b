"""Contract 12.4 and 12.10: uploads by every route, their warnings and refusals."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from lambdas.adapters.images import decoding
from lambdas.adapters.images.pictures import PillowPictures
from lambdas.providers.demo.provider import Demo
from tests.api.client import Client
from tests.gpu_worker.background.products import draw
from tests.pictures import profiles
from tests.pictures.made import SIZE, file, picture, seeds
from tests.support.fakes import FakeProvider, FakeProviders, Fakes
from tests.support.forms import BOUNDARY, form, headers, part

SOUND = seeds()
CONVERTED = "a colour profile other than sRGB was converted to sRGB"


@pytest.fixture
def client() -> Client:
    providers = FakeProviders(demo=Demo(), gemini=FakeProvider())
    return Client(Fakes(pictures=PillowPictures(), providers=providers))


def refer(client: Client, image: str) -> Any:
    """A generation from a reference, accepted and not run: the fake paints no pictures."""
    body = {"prompt": "x", "provider": "gemini", "fallback": False, "reference_image": image}
    return client("POST", "/unified/generate", body, {"Prefer": "respond-async"})


def in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("name", sorted(SOUND))
def test_every_sound_file_is_taken_by_every_way(client: Client, name: str) -> None:
    body, kind = form({}, SOUND[name])
    for answer in (
        client("POST", "/generate", body, kind | {"Prefer": "respond-async"}),
        client("POST", "/v1/backgrounds", {"image": in_base64(SOUND[name])}, {"Prefer": "respond-async"}),
        refer(client, f"data:image/jpg;base64,{in_base64(SOUND[name])}"),
    ):
        assert answer.status == 202, answer.body


OTHERS = {
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", 415),
    "AVIF": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", 415),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
    "PDF": (b"%PDF-1.7\n%", 415),
    "GIF": (b"GIF89a\1\0\1\0", 415),
    "cut off": (SOUND["jpeg"][:-40], 400),
    "palette": (SOUND["png palette 8"].replace(b"PLTE", b"plTE"), 400),
    "pixels": (SOUND["webp"][:26] + b"\xff\x3f\xff\x3f" + SOUND["webp"][30:], 413),
}


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_every_other_is_refused_by_every_way_and_the_field_is_named(client: Client, name: str) -> None:
    data, status = OTHERS[name]
    body, kind = form({}, data)
    for field, answer in (
        ("file", client("POST", "/generate", body, kind)),
        ("image", client("POST", "/v1/backgrounds", {"image": f"data:image/png;base64,{in_base64(data)}"})),
        ("reference_image", refer(client, in_base64(data))),
    ):
        assert answer.status == status, answer.body
        said = answer.json()
        assert [e["field"] for e in said["errors"]] == [field]
        assert name in said["detail"] or status == 400
    assert not client.deps.jobs.rows


def test_a_converted_profile_is_said_with_the_answer(client: Client) -> None:
    profile = profiles.rgb(profiles.P3, None)
    product = Image.open(io.BytesIO(draw(0).file(alpha=True)))
    body, kind = form({}, file(product, "png", icc_profile=profile))
    answer = client("POST", "/generate", body, kind)
    assert answer.status == 200, answer.body
    assert answer.json()["metadata"]["warnings"] == [CONVERTED]
    accepted = refer(client, in_base64(file(product, "png", icc_profile=profile)))
    job = client.deps.jobs.rows["acme", accepted.json()["generation_id"]]
    assert job.request.warnings == (CONVERTED,)


def test_a_batch_beyond_the_budget_names_the_item_and_costs_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [in_base64(file(Image.new("L", (5000, 4900 + n)), "png", compress_level=1)) for n in range(4)]
    items = [{"prompt": "x", "provider": "gemini", "reference_image": text} for text in texts]
    decoded: list[int] = []
    decode = decoding._decoded
    monkeypatch.setattr(decoding, "_decoded", lambda of, *how: (decoded.append(of.height), decode(of, *how))[1])
    answer = client("POST", "/unified/generate/batch", {"requests": items * 25})
    assert (answer.status, answer.json()["errors"][0]["field"]) == (413, "requests.2.reference_image")
    assert "requests.2.reference_image" in answer.json()["detail"]
    assert not client.deps.jobs.rows
    assert decoded == []
    same = client("POST", "/unified/generate/batch", {"requests": items[:1] * 100})
    assert (same.status, len(same.json()["jobs"])) == (202, 100)
    assert decoded == [4900]


def test_one_bad_picture_of_a_batch_fails_alone(client: Client) -> None:
    items = [
        {"prompt": "x", "provider": "gemini", "reference_image": text}
        for text in ("!!!", in_base64(SOUND["png turned"]))
    ]
    jobs = client("POST", "/unified/generate/batch", {"requests": items}).json()["jobs"]
    assert [job["status"] for job in jobs] == ["failed", "queued"]


def test_what_is_found_at_painting_names_the_client_s_field(client: Client) -> None:
    blank = file(Image.new("RGB", (200, 150), "white"), "png")
    body, kind = form({}, blank)
    by_form = client("POST", "/generate", body, kind)
    by_json = client("POST", "/v1/backgrounds", {"image": in_base64(blank)})
    assert (by_form.status, by_json.status) == (400, 400)
    assert [by_form.json()["errors"][0]["field"], by_json.json()["errors"][0]["field"]] == ["file", "image"]
    assert "no product was found" in by_form.json()["detail"]


def test_a_photo_under_another_name_is_told_where_it_goes(client: Client) -> None:
    end = f"--{BOUNDARY}--\r\n".encode()
    answer = client("POST", "/generate", part("image", SOUND["jpeg"], "x.jpg") + end, headers())
    assert (answer.status, answer.json()["errors"][0]["field"]) == (400, "image")
    assert "the photo goes into `file`" in answer.json()["detail"]
    raw = client("POST", "/generate", SOUND["jpeg"], {"Content-Type": "image/jpeg"})
    assert (raw.status, "multipart/form-data" in raw.json()["detail"]) == (415, True)


def test_no_note_of_a_photo_reaches_an_output(client: Client) -> None:
    product = Image.open(io.BytesIO(draw(1).file(alpha=True)))
    exif = Image.Exif()
    exif[0x010F] = "a camera of mine"
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}
    for kind in ("png", "webp"):
        sent = file(product, kind, exif=exif, xmp=b"<x>secret</x>", **({"lossless": True} if kind == "webp" else {}))
        for fmt in ("png", "jpeg", "webp"):
            body, head = form({"format": fmt}, sent)
            assert client("POST", "/generate", body, head).status == 200
    for data, _ in client.deps.blobs.objects.values():
        assert not any(note in data for note in (b"camera of mine", b"secret", b"Exif", b"eXIf"))
    assert picture().size == SIZE

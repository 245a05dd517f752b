"""Contract 7.1, 7.5 and 12.7: POST /v1/images/edits, as a form and as JSON, with real pictures."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from openai.types import ImageEditCompletedEvent, ImagesResponse
from PIL import Image

from lambdas.adapters.images.pictures import PillowPictures
from lambdas.domain.jobs.request import GeneratedImage, ImageTask
from lambdas.providers.demo.provider import Demo
from tests.api.client import Answer, Client
from tests.support.fakes import FakeProvider, FakeProviders, Fakes
from tests.support.forms import BOUNDARY, headers, part

PATH = "/v1/images/edits"
PAINT, SD35 = "us.stability.stable-image-inpaint-v1:0", "stability.sd3-5-large-v1:0"
END = f"--{BOUNDARY}--\r\n".encode()


def png(picture: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    picture.save(out, kind)
    return out.getvalue()


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


PHOTO = png(Image.effect_noise((320, 192), 80).convert("RGB"))


def masked(box: tuple[int, int, int, int] = (80, 48, 240, 144), size: tuple[int, int] = (320, 192)) -> bytes:
    """A mask that is transparent in the box."""
    mask = Image.new("RGBA", size, "black")
    mask.paste((0, 0, 0, 0), box)
    return png(mask)


def red(order: ImageTask) -> GeneratedImage:
    return GeneratedImage(png(Image.new("RGB", order.generate, "red")), 1)


def house(*script: Any) -> tuple[Client, FakeProvider]:
    provider = FakeProvider(list(script) or [red] * 20)
    return Client(Fakes(pictures=PillowPictures(), providers=FakeProviders(bedrock=provider))), provider


def form(client: Client, *files: bytes, **fields: str) -> Answer:
    texts = {"prompt": "a red hat", **fields}
    parts = [part(name, value.encode()) for name, value in texts.items()]
    return client("POST", PATH, b"".join([*parts, *files]) + END, headers())


def as_json(client: Client, body: dict[str, Any]) -> Answer:
    return client("POST", PATH, {"prompt": "a red hat", **body})


def uri(data: bytes) -> dict[str, str]:
    return {"image_url": "data:image/png;base64," + base64.b64encode(data).decode()}


def wrong(answer: Answer) -> tuple[int, str | None, str]:
    error = answer.json()["error"]
    assert answer.headers["x-should-retry"] == "false"
    return answer.status, error["param"], error["code"]


def result(answer: Answer) -> Image.Image:
    assert answer.status == 200, answer.body
    ImagesResponse.model_validate(answer.json(), strict=True)
    return picture(base64.b64decode(answer.json()["data"][0]["b64_json"]))


@pytest.mark.parametrize("name", ["image", "image[]", "image[0]"])
def test_7_1_an_image_is_edited_by_a_model_that_starts_from_one(name: str) -> None:
    client, provider = house()
    made = result(form(client, part(name, PHOTO, "photo.png")))
    [order] = provider.orders
    assert (order.card.id, order.task) == (SD35, "text-to-image")
    assert order.reference
    assert picture(order.reference).tobytes() == picture(PHOTO).tobytes()
    assert made.size == (1320, 792)  # of the image's shape, where no size is asked for


def test_7_1_the_same_as_json() -> None:
    client, provider = house()
    answer = as_json(client, {"images": [uri(PHOTO)], "size": "512x512", "input_fidelity": "high"})
    assert result(answer).size == (512, 512)
    assert [entry["name"] for entry in answer.json()["metadata"]["dropped_params"]] == ["input_fidelity"]
    assert provider.orders[0].card.id == SD35


@pytest.mark.parametrize("way", ["form", "json"])
def test_12_7_the_transparent_part_of_the_mask_is_what_changes(way: str) -> None:
    client, provider = house()
    box = (80, 48, 240, 144)
    if way == "form":
        answer = form(client, part("image", PHOTO, "p.png"), part("mask", masked(box), "m.png"), model="gpt-image-2")
    else:
        answer = as_json(client, {"images": [uri(PHOTO)], "mask": uri(masked(box)), "model": "gpt-image-2"})
    made, photo = result(answer), picture(PHOTO)
    [order] = provider.orders
    assert (order.card.id, order.task) == (PAINT, "inpaint")
    assert order.mask
    assert picture(order.mask).getbbox() == box
    assert made.size == photo.size
    assert made.crop(box).getcolors() == [(160 * 96, (255, 0, 0))]
    made.paste(photo.crop(box), box)
    assert made.tobytes() == photo.tobytes()  # every other pixel as it was
    assert answer.json()["metadata"]["cost_usd"] == pytest.approx(0.07)


@pytest.mark.parametrize("size", [(1600, 200), (40, 40), (100, 1000)])
def test_7_1_a_mask_on_an_image_of_any_shape(size: tuple[int, int]) -> None:
    client, provider = house()
    photo = png(Image.new("RGB", size, "blue"))
    mask = masked((0, 0, size[0] // 2, size[1]), size)
    made = result(form(client, part("image", photo, "p.png"), part("mask", mask, "m.png")))
    [order] = provider.orders
    width, height = order.generate
    assert min(width, height) >= 64
    assert 0.4 <= width / height <= 2.5
    assert made.size == size
    assert (made.getpixel((0, 0)), made.getpixel((size[0] - 1, 0))) == ((255, 0, 0), (0, 0, 255))


def test_7_1_an_image_that_is_transparent_is_edited_on_white() -> None:
    client, _ = house()
    photo = png(Image.new("RGBA", (320, 192), (0, 0, 0, 0)))
    made = result(form(client, part("image", photo, "p.png"), part("mask", masked(), "m.png")))
    assert (made.mode, made.getpixel((0, 0))) == ("RGB", (255, 255, 255))


def test_7_1_everything_in_a_form_is_a_text() -> None:
    client, provider = house()
    sent = {"n": "2", "size": "256x256", "stream": "true", "output_format": "jpeg", "output_compression": "40"}
    answer = form(client, part("image", PHOTO, "p.png"), **sent, partial_images="0", user="", quality="auto")
    assert answer.status == 200, answer.body
    events = [block.split("\n") for block in answer.body.decode().split("\n\n") if block]
    assert [event[0] for event in events] == ["event: image_edit.completed"] * 2
    for event in events:
        read = ImageEditCompletedEvent.model_validate_json(event[1].removeprefix("data: "))
        assert picture(base64.b64decode(read.b64_json)).format == "JPEG"
    assert len(provider.orders) == 2


IMAGE = part("image", PHOTO, "p.png")


@pytest.mark.parametrize(
    ("files", "fields", "status", "param", "code"),
    [
        ((), {}, 400, "image", "missing_required_parameter"),
        ((part("image[]", PHOTO, "a.png") * 2,), {}, 400, "image", "invalid_request"),
        ((IMAGE * 2, part("mask", masked(), "m.png")), {}, 400, "image", "unsupported_value"),
        ((part("image[]", b"x", "a.png") * 17,), {}, 400, "image", "invalid_request"),
        ((part("image", b"no picture", "a.png"),), {}, 400, "image", "malformed_body"),
        ((part("image", PHOTO[:200], "a.png"),), {}, 400, "image", "malformed_body"),
        ((IMAGE, part("mask", masked(size=(320, 200)), "m.png")), {}, 400, "mask", "invalid_request"),
        ((IMAGE, part("mask", PHOTO, "m.png")), {}, 400, "mask", "invalid_request"),
        ((IMAGE, part("mask", png(Image.new("RGBA", (320, 192), "red")), "m.png")), {}, 400, "mask", "invalid_request"),
        ((IMAGE, part("mask", masked(), "m.png")), {"model": SD35}, 400, "model", "invalid_request"),
        ((IMAGE,), {"model": "stability.stable-image-core-v1:1"}, 400, "image", "invalid_request"),
        ((IMAGE,), {"n": "eleven"}, 400, "n", "invalid_type"),
        ((IMAGE,), {"n": "11"}, 400, "n", "integer_above_max_value"),
        ((IMAGE,), {"stream": "maybe"}, 400, "stream", "invalid_type"),
        ((IMAGE,), {"style": "vivid"}, 400, "style", "unknown_parameter"),
        ((IMAGE,), {"prompt": " "}, 400, "prompt", "invalid_value"),
        ((IMAGE, part("prompt", b"again")), {}, 400, "prompt", "invalid_request"),
        ((IMAGE, part("markup", PHOTO, "m.png")), {}, 400, "markup", "invalid_request"),
        ((IMAGE, part("photo", PHOTO, "m.png")), {}, 400, "photo", "unknown_parameter"),
        ((IMAGE, part("svg[model]", b"x")), {}, 400, "svg[model]", "unknown_parameter"),
        ((part("image", b"not a file"),), {}, 400, "image", "malformed_body"),
    ],
)
def test_7_5_a_form_that_cannot_be_honoured(
    files: tuple[bytes, ...], fields: dict[str, str], status: int, param: str, code: str
) -> None:
    client, provider = house()
    assert wrong(form(client, *files, **fields)) == (status, param, code)
    assert provider.orders == []


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "images", "missing_required_parameter"),
        ({"images": []}, "images", "invalid_value"),
        ({"images": [uri(PHOTO)] * 2}, "images", "invalid_request"),
        ({"images": [uri(PHOTO)] * 17}, "images", "invalid_value"),
        ({"images": [{"file_id": "up_1"}]}, "images.0.file_id", "invalid_value"),
        ({"images": [{"file_id": "up_" + "0" * 32}]}, "images", "invalid_request"),
        ({"images": [uri(PHOTO) | {"file_id": "up_" + "0" * 32}]}, "images.0", "invalid_value"),
        ({"images": [{}]}, "images.0", "invalid_value"),
        ({"images": [{"image_url": "https://a.example/x.png"}]}, "images.0.image_url", "unsupported_value"),
        ({"images": [{"image_url": "data:image/png;base64,!!"}]}, "images", "malformed_body"),
        ({"images": [uri(PHOTO)], "mask": {"file_id": "up_1"}}, "mask.file_id", "invalid_value"),
        ({"images": [uri(PHOTO)], "mask": uri(PHOTO)}, "mask", "invalid_request"),
        ({"image": uri(PHOTO), "images": [uri(PHOTO)]}, "image", "unknown_parameter"),
        ({"images": [uri(PHOTO) | {"detail": "high"}]}, "images.0.detail", "unknown_parameter"),
    ],
)
def test_7_5_json_that_cannot_be_honoured(body: dict[str, Any], param: str, code: str) -> None:
    client, provider = house()
    assert wrong(as_json(client, body)) == (400, param, code)
    assert provider.orders == []


@pytest.mark.parametrize("way", ["image", "image[]", "image[{}]", "json"])
def test_7_1_several_images_go_to_a_model_that_takes_them(way: str) -> None:
    providers = {"bedrock": FakeProvider([red]), "gemini": FakeProvider([red])}
    client = Client(Fakes(pictures=PillowPictures(), providers=FakeProviders(**providers)))
    photos = [png(Image.new("RGB", (320, 192), colour)) for colour in ("blue", "green", "white", "black")]
    if way == "json":
        answer = as_json(client, {"images": [uri(photo) for photo in photos]})
    else:
        answer = form(client, *(part(way.format(place), photo, "p.png") for place, photo in enumerate(photos)))
    assert answer.status == 200, answer.body
    [order] = providers["gemini"].orders
    assert order.card.references >= len(photos)
    sent = [order.reference or b"", *(data for data, _ in order.more_references)]
    assert [picture(data).getpixel((0, 0)) for data in sent] == [picture(photo).getpixel((0, 0)) for photo in photos]
    assert [kind for _, kind in order.more_references] == ["image/png"] * 3
    assert providers["bedrock"].orders == []


def test_7_1_a_file_id_is_an_upload() -> None:
    client, provider = house()
    ids = {}
    for name, data in (("image", PHOTO), ("mask", masked())):
        offered = client("POST", "/v1/uploads", {"content_type": "image/png", "size": len(data)}).json()
        client.deps.blobs.put(offered["fields"]["key"], data, "image/png")
        ids[name] = {"file_id": offered["upload_id"]}
    made = result(as_json(client, {"images": [ids["image"]], "mask": ids["mask"]}))
    assert made.size == (320, 192)
    assert provider.orders[0].task == "inpaint"
    client.identity = {"tenant": "umbrella", "auth": "ok"}
    assert wrong(as_json(client, {"images": [ids["image"]]})) == (400, "images", "invalid_request")


def test_7_4_a_repetition_of_a_form_is_told_by_its_files_and_not_by_its_boundary() -> None:
    client, provider = house()
    other = "another-boundary"
    parts = [("prompt", b"a red hat", None), ("image", PHOTO, "p.png"), ("mask", masked(), "m.png")]

    def ask(boundary: str, count: int, photo: bytes = PHOTO) -> str:
        body = b"".join(part(n, photo if n == "image" else v, f, boundary) for n, v, f in parts)
        sent = headers(boundary) | {"x-stainless-retry-count": str(count)}
        answer = client("POST", PATH, body + f"--{boundary}--\r\n".encode(), sent)
        return str(answer.json()["metadata"]["generation_id"])

    first = ask(BOUNDARY, 0)
    assert ask(other, 1) == first
    assert ask(other, 1, png(Image.new("RGB", (320, 192), "blue"))) != first
    assert len(provider.orders) == 2


def test_7_1_with_no_provider_the_demo_edits() -> None:
    client = Client(Fakes(pictures=PillowPictures(), providers=FakeProviders(demo=Demo())))
    whole = result(form(client, part("image", PHOTO, "p.png")))
    assert whole.size == (1320, 792)
    made = result(form(client, part("image", PHOTO, "p.png"), part("mask", masked(), "m.png")))
    assert made.crop((0, 0, 80, 192)).tobytes() == picture(PHOTO).crop((0, 0, 80, 192)).tobytes()
    assert made.tobytes() != picture(PHOTO).tobytes()

"""Contract 6.3: a form for a picture that is too large for a request, and the picture used by its id."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from lambdas.domain.ids import UPLOAD
from tests.api.client import Client
from tests.support.fakes import FakeProvider, FakeProviders, Fakes

PICTURE = b"64x64:a picture to the fakes"
ASKED = {"content_type": "image/png", "size": 9_000_000}


def offered(client: Client) -> str:
    upload_id: str = client("POST", "/v1/uploads", ASKED).json()["upload_id"]
    return upload_id


def test_6_3_an_upload_is_a_form_for_one_picture() -> None:
    client = Client()
    answer = client("POST", "/v1/uploads", ASKED)
    assert answer.status == 201
    form = answer.json()
    assert UPLOAD.fullmatch(form["upload_id"])
    assert form["fields"]["key"] == f"uploads/acme/{form['upload_id']}"
    assert form["fields"]["Content-Type"] == "image/png"
    assert form["expires_in"] == 600
    assert form["upload_url"].startswith("https://")
    assert offered(client) != form["upload_id"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"size": 25_000_001}, "size"),
        ({"size": 0}, "size"),
        ({"size": "9"}, "size"),
        ({"size": None}, "size"),
        ({"content_type": "image/gif"}, "content_type"),
        ({"content_type": "image/svg+xml"}, "content_type"),
        ({"name": "cat.png"}, "name"),
    ],
)
def test_6_3_a_wrong_wish_is_400_and_names_its_field(changed: dict[str, Any], field: str) -> None:
    answer = Client()("POST", "/v1/uploads", {**ASKED, **changed})
    assert answer.status == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def client_of_gemini() -> Client:
    return Client(Fakes(providers=FakeProviders(gemini=FakeProvider())))


def test_6_3_an_upload_stands_for_its_picture() -> None:
    client = client_of_gemini()
    upload_id = offered(client)
    client.deps.blobs.put(f"uploads/acme/{upload_id}", PICTURE, "image/png")
    by_id = client(
        "POST", "/unified/generate", {"prompt": "x", "seed": 7, "reference_image": upload_id, "cache": "auto"}
    )
    assert by_id.status == 200, by_id.body
    inline = base64.b64encode(PICTURE).decode()
    same = client("POST", "/unified/generate", {"prompt": "x", "seed": 7, "reference_image": inline, "cache": "auto"})
    assert same.json()["metadata"]["cached"] is True


@pytest.mark.parametrize("there", ["nowhere", "uploads/umbrella"])
def test_6_3_an_upload_is_of_its_tenant_and_must_be_there(there: str) -> None:
    client = client_of_gemini()
    upload_id = offered(client)
    client.deps.blobs.put(f"{there}/{upload_id}", PICTURE, "image/png")
    for url, body in (
        ("/unified/generate", {"prompt": "x", "reference_image": upload_id}),
        ("/unified/plan", {"prompt": "x", "reference_image": upload_id}),
        ("/v1/backgrounds", {"image": upload_id}),
    ):
        answer = client("POST", url, body)
        assert answer.status == 400, answer.body
        assert [error["field"] for error in answer.json()["errors"]] == [[*body][-1]]


def test_6_3_what_was_uploaded_is_checked_like_any_picture() -> None:
    client = client_of_gemini()
    upload_id = offered(client)
    client.deps.blobs.put(f"uploads/acme/{upload_id}", b"GIF89a", "image/png")
    answer = client("POST", "/unified/generate", {"prompt": "x", "reference_image": upload_id})
    assert (answer.status, answer.json()["errors"][0]["field"]) == (415, "reference_image")


def test_the_uploads_of_a_batch_are_bounded_together() -> None:
    client = client_of_gemini()
    items = []
    for number in range(3):
        upload_id = offered(client)
        client.deps.blobs.put(f"uploads/acme/{upload_id}", b"64x64:" + b"%d" % number * 20_000_000, "image/png")
        items.append({"prompt": "x", "reference_image": upload_id})
    answer = client("POST", "/unified/generate/batch", {"requests": items})
    assert answer.status == 413
    assert answer.json()["errors"][0]["field"] == "requests.2.reference_image"

"""Contract 6.3 on the local stack: the bucket takes just the picture that was named, and a generation uses it."""

from __future__ import annotations

import io
from typing import Any

import pytest
import requests
from PIL import Image

from tests.e2e.http import Client

pytestmark = pytest.mark.e2e


def picture(side: int = 2000) -> bytes:
    """A PNG of 12 MB, more than the gateway takes."""
    out = io.BytesIO()
    Image.merge("RGB", [Image.effect_noise((side, side), 90) for _ in range(3)]).save(out, "PNG", compress_level=1)
    return out.getvalue()


def offered(client: Client, size: int, media_type: str = "image/png") -> dict[str, Any]:
    answer = client.post("/v1/uploads", json={"content_type": media_type, "size": size})
    assert answer.status_code == 201, answer.text
    form: dict[str, Any] = answer.json()
    return form


def sent(form: dict[str, Any], data: bytes, **changed: str) -> requests.Response:
    fields = {**form["fields"], **changed}
    return requests.post(form["upload_url"], data=fields, files={"file": ("photo.png", data)}, timeout=60)


def test_6_3_a_picture_larger_than_a_request_is_uploaded_and_used(client: Client) -> None:
    data = picture()
    assert len(data) > 10 * 1024 * 1024
    form = offered(client, len(data))
    body = {"prompt": "a fox", "reference_image": form["upload_id"]}
    assert client.post("/unified/plan", json=body).status_code == 400  # nothing is there yet
    assert sent(form, data).status_code in (200, 204)
    assert client.post("/unified/plan", json=body).status_code == 200
    made = client.post("/v1/backgrounds", json={"image": form["upload_id"]})
    assert made.status_code == 200, made.text
    stored = Image.open(io.BytesIO(client.get(made.json()["image_url"]).content))
    assert stored.size == (2000, 2000)


def test_6_3_the_bucket_takes_nothing_else(client: Client) -> None:
    data = picture(64)
    form = offered(client, len(data))
    assert sent(form, data + b"more").status_code == 400
    assert sent(form, data[:-1]).status_code == 400
    assert sent(form, data, **{"Content-Type": "image/svg+xml"}).status_code == 403
    assert sent(form, data, key="images/default/default/demo/im_0000000000000000.png").status_code == 403
    assert sent(form, data, **{"x-amz-signature": "0" * 64}).status_code == 403
    assert client.post("/unified/plan", json={"prompt": "x", "reference_image": form["upload_id"]}).status_code == 400
    assert sent(form, data).status_code in (200, 204)

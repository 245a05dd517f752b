"""Images on delivery over the local stack: variants, caching, and signed links past the authorizer."""

from __future__ import annotations

import io
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

from tests.e2e import http
from tests.e2e.conftest import Start
from tests.e2e.http import Client
from tests.e2e.test_keys import command

pytestmark = pytest.mark.e2e


def made(client: Client) -> tuple[str, str]:
    """The path of a new image's stable link, and of the route that makes signed ones."""
    job = client.post("/unified/generate", json={"prompt": "a fox", "width": 512, "height": 256}).json()
    [image] = job["images"]
    return image["local_url"], f"/unified/jobs/{job['generation_id']}/images/{image['id']}"


def test_6_2_and_12_5_an_image_is_transformed_cached_and_deleted(client: Client) -> None:
    path, image = made(client)
    original = client.get(path)
    assert (original.status_code, original.headers["Content-Security-Policy"]) == (200, "default-src 'none'; sandbox")
    known = client.get(path, headers={"If-None-Match": original.headers["ETag"]})
    assert (known.status_code, known.content) == (304, b"")
    for kind in ("png", "jpeg", "webp", "avif"):
        answer = client.get(f"{path}?w=100&format={kind}&watermark=%C2%A9%20a%2Bb")
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert (picture.format, picture.size) == (kind.upper(), (100, 50))
        assert answer.headers["Content-Type"] == f"image/{kind}"
        again = client.get(f"{path}?format={kind}&watermark=%C2%A9+a%2Bb&w=100")
        assert (again.content, again.headers["ETag"]) == (answer.content, answer.headers["ETag"])
        head = client.head(f"{path}?w=100&format={kind}&watermark=%C2%A9%20a%2Bb")
        assert (head.status_code, head.content) == (200, b"")
    auto = client.get(f"{path}?format=auto&w=60", headers={"Accept": "image/webp"})
    assert (auto.headers["Content-Type"], "Accept" in auto.headers["Vary"]) == ("image/webp", True)
    refused = client.get(f"{path}?w=100&w=200")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "w")
    assert client.delete(image).status_code == 204
    assert client.get(f"{path}?w=100&format=png").status_code == 404


def test_6_2_a_large_variant_is_a_redirection_to_the_bucket(client: Client) -> None:
    job = client.post("/unified/generate", json={"prompt": "noise", "width": 1024, "height": 1024}).json()
    answer = client.get(f"{job['images'][0]['local_url']}?w=2048&h=2048&format=png")
    if answer.status_code == 307:
        answer = http.get(answer.headers["Location"])
    with Image.open(io.BytesIO(answer.content)) as picture:
        assert (answer.status_code, picture.size) == (200, (2048, 2048))


def test_6_6_a_signed_link_passes_the_authorizer_and_opens_nothing_else(start: Start) -> None:
    with start(REQUIRE_API_KEY="1", API_KEYS="acme:k") as stack:
        with Client(stack.url, headers={"x-api-key": "k"}) as acme:
            path, image = made(acme)
            first = acme.post(f"{image}/link", json={"w": 64, "format": "webp"}).json()["url"]
            secret = command(stack, "link-secret", "acme", "--grace", "1h").stdout.strip()
            second = acme.post(f"{image}/link", json={"expires_in": 60}).json()["url"]
        assert first.startswith(f"{stack.url}/storage/images/")
        answer = http.get(first)
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert (answer.status_code, picture.format, picture.size) == (200, "WEBP", (64, 32))
        assert answer.headers["Cache-Control"].startswith("public, max-age=")
        assert http.get(second).status_code == 200
        recipe = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text("utf-8")
        known: dict[str, object] = {}
        exec(recipe.split("```python\n")[1].split("```")[0], known)
        third = known["link"](stack.url, path, secret, 60, w=32, watermark="a b")  # type: ignore[operator]
        assert http.get(third).status_code == 200
        assert f"kid={secret.partition('.')[0]}" in second
        query = urlsplit(first).query
        assert http.get(f"{first}0").status_code == 404
        assert http.get(f"{stack.url}{path}?{query.replace('w=64', 'w=65')}").status_code == 404
        for other in ("/unified/jobs", path.replace("/storage/images/default/demo", "/download"), path):
            asked = f"{stack.url}{other}?{query if other != path else 'w=64'}"
            assert http.get(asked).status_code == 401, other
        with Client(stack.url, headers={"x-api-key": "k"}) as acme:
            assert acme.delete(image).status_code == 204
        assert http.get(first).status_code == http.get(third).status_code == 404

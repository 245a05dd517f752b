"""Signed links to images: made by the route or elsewhere, good for exactly what they say, and for nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from lambdas.domain.links import MAX_SECONDS, LinkKey, new_link_key, signed
from lambdas.settings import Settings
from tests.api.client import Client
from tests.support.deliveries import NOBODY, Shelf
from tests.support.fakes import FakeLimits

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_6_6_a_link_works_without_a_key_for_its_parameters(shelf: Shelf) -> None:
    answer = shelf.link(expires_in=600, w=100, h=80, fit="contain", format="webp", quality=70, blur=1.5, grayscale=True)
    assert answer.status == 201
    url = answer.json()["url"]
    assert answer.headers["Location"] == url
    assert answer.headers["Cache-Control"] == "no-store"
    assert url.startswith("https://api.example/prod/storage/images/default/demo/im_")
    assert answer.json()["expires_at"] == "2026-09-21T14:23:20.000Z"
    link = urlsplit(url).path.removeprefix("/prod") + "?" + urlsplit(url).query
    without = shelf.ask_without("GET", link)
    assert (without.status, without.headers["Content-Type"]) == (200, "image/webp")
    same = "w=100&h=80&fit=contain&format=webp&quality=70&blur=1.5&grayscale=true"
    assert without.body == shelf.get(same).body
    assert shelf.ask_without("HEAD", link).status == 200
    assert shelf.ask_without("GET", f"{shelf.path}?{same}").status == 401


def test_6_6_a_link_without_parameters_is_to_the_original(shelf: Shelf) -> None:
    for answer in (shelf.link(), shelf.link(expires_in=MAX_SECONDS)):
        parts = urlsplit(answer.json()["url"])
        assert set(dict(parse_qsl(parts.query))) == {"kid", "expires", "sig"}
    assert shelf.ask_without("GET", shelf.linked()).body == shelf.data
    url = f"/unified/jobs/{shelf.job['generation_id']}/images/{shelf.image['id']}/link"
    assert shelf.ask("POST", url, b"").status == 201  # no body at all


def test_6_6_the_base_url_of_the_settings_stands_before_a_link(shelf: Shelf) -> None:
    ask = Client(shelf.deps, Settings(base_url="https://img.example/"))
    url = f"/unified/jobs/{shelf.job['generation_id']}/images/{shelf.image['id']}/link"
    assert ask("POST", url, {}).json()["url"].startswith("https://img.example/storage/images/default/demo/im_")
    local = Client(shelf.deps)("POST", url, {}, {"Host": "localhost:8000", "X-Forwarded-Proto": "http"}).json()["url"]
    assert local.startswith("http://localhost:8000/storage/")  # the local front has no stage


def test_6_6_it_ends_when_it_says(shelf: Shelf) -> None:
    link = shelf.linked(expires_in=60, w=50)
    shelf.deps.clock.time += 59
    assert shelf.ask_without("GET", link).status == 200
    shelf.deps.clock.time += 1
    assert shelf.ask_without("GET", link).status == 404
    assert shelf.ask("GET", link).status == 404  # a link is judged as one, also with a key


def changed(link: str) -> dict[str, str]:
    """The link with one thing changed, by what that is."""
    path, _, query = link.partition("?")
    sig = re.search(r"sig=([\w-]+)", query)
    assert sig
    flipped = ("B" if sig[1][0] == "A" else "A") + sig[1][1:]
    return {
        "another width": link.replace("w=100", "w=101"),
        "the width in another form": link.replace("w=100", "w=0100"),
        "no width": link.replace("w=100&", "").replace("&w=100", ""),
        "a parameter more": f"{link}&h=100",
        "an unknown parameter more": f"{link}&utm_source=mail",
        "an empty parameter more": f"{link}&h=",
        "the same parameter twice": f"{link}&w=100",
        "another expiry": re.sub(r"expires=\d+", lambda m: f"expires={int(m[0][8:]) + 1}", link),
        "no expiry": re.sub(r"expires=\d+&", "", link),
        "a hundred years": re.sub(r"expires=\d+", "expires=4900000000", link),
        "an expiry in words": re.sub(r"expires=\d+", "expires=never", link),
        "an endless number": re.sub(r"expires=\d+", "expires=" + "9" * 5000, link),
        "another kid": re.sub(r"kid=lk_\w{16}", "kid=lk_0123456789abcdef", link),
        "a kid that is a path": re.sub(r"kid=lk_\w{16}", "kid=of%23acme", link),
        "no kid": re.sub(r"kid=\w+&", "", link),
        "another sig": query and f"{path}?{query.replace(sig[1], flipped)}",
        "a shorter sig": link.replace(sig[1], sig[1][:-1]),
        "a longer sig": link.replace(sig[1], sig[1] + "="),
        "an empty sig": link.replace(sig[1], ""),
        "no sig": re.sub(r"&sig=[\w-]+", "", link),
        "a sig that is no text of ASCII": link.replace(sig[1], "%F0%9F%A6%8A"),
        "two sigs": f"{link}&sig={sig[1]}",
        "another name": link.replace("/im_", "/im_0"),
        "another project": link.replace("/default/", "/other/"),
        "another provider": link.replace("/demo/", "/gemini/"),
    }


NAMES = list(changed("/storage/images/default/demo/im_1.png?expires=1&kid=lk_0000000000000000&w=100&sig=AA"))


@pytest.mark.parametrize("name", NAMES)
def test_6_6_anything_changed_is_404_as_for_an_image_that_never_was(shelf: Shelf, name: str) -> None:
    link = shelf.linked(w=100)
    assert shelf.ask_without("GET", link).status == 200
    other = changed(link)[name]
    assert other != link
    for ask in (shelf.ask_without, Client(shelf.deps, identity=NOBODY), shelf.ask):
        answer = ask("GET", other)
        assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert answer.json()["detail"] == "no such image"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/unified/jobs", 401),
        ("GET", "/download/{name}", 401),
        ("GET", "/files/{name}", 401),
        ("POST", "/storage/images/default/demo/{name}", 405),
        ("DELETE", "/unified/jobs/{job}/images/{image}", 401),
        ("POST", "/unified/jobs/{job}/images/{image}/link", 401),
        ("GET", "/storage/images/default/demo/../../../unified/jobs", 404),
    ],
)
def test_6_6_a_link_opens_nothing_else(shelf: Shelf, method: str, path: str, status: int) -> None:
    query = shelf.linked().partition("?")[2]
    filled = path.format(name=shelf.path.rpartition("/")[2], job=shelf.job["generation_id"], image=shelf.image["id"])
    assert shelf.ask_without(method, f"{filled}?{query}").status == status


def test_6_6_bug_12_a_link_works_however_a_client_escapes_and_orders_it(shelf: Shelf) -> None:
    """Browsers, mail programs and libraries write `+`, `%20`, `~` and lower-case hex digits differently."""
    text = 'Größe a+b & c/d ~50 % = "x"'
    link = shelf.linked(w=300, watermark=text)
    path, _, query = link.partition("?")
    assert " " not in link
    pairs = parse_qsl(query, keep_blank_values=True)
    assert dict(pairs)["watermark"] == text
    forms = [
        "&".join(f"{name}={quote(value, safe='')}" for name, value in reversed(pairs)),
        "&".join(f"{name}={quote(value, safe='/=~')}" for name, value in pairs),
        re.sub(r"%[0-9A-F]{2}", lambda m: m[0].lower(), query),
        query.replace("%20", "+"),
        query.replace("w=300", "%77=300"),
    ]
    want = shelf.ask_without("GET", link)
    assert want.status == 200
    for form in forms:
        assert shelf.ask_without("GET", f"{path}?{form}").body == want.body, form


def test_6_6_deleting_the_image_ends_it(shelf: Shelf) -> None:
    link = shelf.linked(w=100)
    tag = shelf.ask_without("GET", link).headers["ETag"]
    assert shelf.ask_without("GET", link, headers={"If-None-Match": tag}).status == 304
    shelf.delete()
    assert shelf.ask_without("GET", link).status == 404
    assert shelf.ask_without("GET", link, headers={"If-None-Match": tag}).status == 404
    assert shelf.link().status == 404


def test_6_6_who_may_keep_it_and_for_how_long(shelf: Shelf) -> None:
    assert shelf.ask_without("GET", shelf.linked(expires_in=7200)).headers["Cache-Control"] == "public, max-age=3600"
    assert shelf.ask_without("GET", shelf.linked(expires_in=60)).headers["Cache-Control"] == "public, max-age=60"
    shelf.record(bytes=5_000_000)
    assert shelf.ask_without("GET", shelf.linked()).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": MAX_SECONDS + 1}, "expires_in"),
        ({"expires_in": "60"}, "expires_in"),
        ({"expires_in": None}, "expires_in"),
        ({"w": 0}, "w"),
        ({"w": 4096}, "w"),
        ({"w": "100"}, "w"),
        ({"fit": "cover"}, "fit"),
        ({"quality": 50}, "quality"),
        ({"grayscale": "true"}, "grayscale"),
        ({"blur": 101}, "blur"),
        ({"watermark": "你"}, "watermark"),
        ({"watermark": "a" * 65}, "watermark"),
        ({"kid": "lk_0000000000000000"}, "kid"),
        ({"width": 5}, "width"),
    ],
)
def test_6_6_no_link_is_made_that_could_not_be_answered(shelf: Shelf, body: dict[str, object], field: str) -> None:
    answer = shelf.link(**body)
    assert (answer.status, answer.json()["errors"][0]["field"]) == (400, field)


def test_6_6_and_1_3_a_tenant_links_to_its_own_images_alone(shelf: Shelf) -> None:
    url = f"/unified/jobs/{shelf.job['generation_id']}/images/{{}}/link"
    other = Client(shelf.deps, identity={"tenant": "umbrella", "auth": "ok"})
    for ask, image in ((other, shelf.image["id"]), (shelf.ask, "im_0123456789abcdef"), (shelf.ask, "x")):
        assert ask("POST", url.format(image), {}).status == 404
    theirs = shelf.deps.link_keys.of("umbrella", shelf.deps.clock.now())
    forged = signed(shelf.path, {"w": "100"}, int(shelf.deps.clock.now()) + 60, theirs)
    assert shelf.ask_without("GET", forged).status == 404


def test_6_6_a_rotation_ends_the_links_of_the_old_key_after_a_while(shelf: Shelf) -> None:
    now = shelf.deps.clock.now()
    old, link = shelf.deps.link_keys.of("acme", now), shelf.linked()
    shelf.deps.link_keys.add(LinkKey(old.kid, "acme", old.secret, now, until=now + 100))
    shelf.deps.link_keys.add(new_link_key("acme", now))
    assert old.kid not in shelf.linked()
    assert shelf.ask_without("GET", link).status == 200
    shelf.deps.clock.time += 100
    assert shelf.ask_without("GET", link).status == 404


def test_6_6_a_computed_variant_counts_for_the_tenant_whose_link_it_is(shelf: Shelf) -> None:
    link = shelf.linked(w=100)
    other = shelf.linked(w=101)
    object.__setattr__(shelf.deps, "limits", FakeLimits(1))
    assert shelf.ask_without("GET", link).headers["RateLimit-Remaining"] == "0"
    assert shelf.ask_without("GET", link).status == 200
    assert shelf.ask_without("GET", other).status == 429
    assert shelf.get("w=102").status == 429


def test_6_6_the_recipe_of_the_documents_makes_a_link_that_works(shelf: Shelf) -> None:
    """The code as it stands in docs/delivery.md, run by itself."""
    text = (ROOT / "docs" / "delivery.md").read_text("utf-8")
    [recipe] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    key = shelf.deps.link_keys.of("acme", shelf.deps.clock.now())
    shelf.deps.clock.time = __import__("time").time()
    secret = f"{key.kid}.{key.secret}"
    asked = f"print(link('http://x', {shelf.path!r}, {secret!r}, 600, w=100, watermark='© a b+c'))"
    done = subprocess.run([sys.executable, "-I", "-c", recipe + asked], capture_output=True, text=True, check=True)
    url = done.stdout.strip()
    answer = shelf.ask_without("GET", url.removeprefix("http://x"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
    assert len([line for line in recipe.splitlines() if line.strip()]) <= 10


def test_6_6_the_log_names_the_tenant_and_no_signature(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    link = shelf.linked()
    caplog.clear()
    shelf.ask_without("GET", link)
    [line] = [vars(record) for record in caplog.records]
    assert line["tenant"] == "acme"
    assert link.rpartition("=")[2] not in repr(line)


def test_6_6_a_link_made_elsewhere_ends_within_seven_days_too(shelf: Shelf) -> None:
    """Some minutes more are for a clock that is ahead of ours."""
    now = shelf.deps.clock.now()
    key = shelf.deps.link_keys.of("acme", now)
    for seconds, status in ((MAX_SECONDS, 200), (MAX_SECONDS + 300, 200), (MAX_SECONDS + 301, 404), (10**9, 404)):
        link = signed(shelf.path, {}, int(now) + seconds, key)
        assert shelf.ask_without("GET", link).status == status, seconds

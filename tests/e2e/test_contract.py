"""Contract 1.2 to 1.4, 1.6, 1.8, 2.1 to 2.4, 3.1 to 3.3, 5.4 to 5.6: over HTTP, on the local stack with the demo."""

from __future__ import annotations

import io
import json
import re
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import openai
import pytest
import requests
from PIL import Image

from local.stack import Stack
from tests.api.test_hostile import BODIES
from tests.e2e import http
from tests.e2e.conftest import Start
from tests.e2e.http import Client

pytestmark = pytest.mark.e2e


def outside(url: str) -> requests.Response:
    """As somebody without a key and without our headers fetches it."""
    return http.get(url, timeout=30)


def picture(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def ended(client: Client, job_id: str, seconds: int = 60) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        job = client.get(f"/unified/jobs/{job_id}").json()
        if job["status"] in ("completed", "failed", "cancelled"):
            return job
        time.sleep(0.2)
    raise AssertionError(f"the job did not end: {job}")


def test_the_simple_service(client: Client) -> None:
    made = client.post("/generate-image", json={"prompt": "A red fox in the snow"})
    assert made.status_code == 200
    name = made.json()["image_url"]
    file = client.get(f"/download/{name}")
    assert (file.status_code, file.headers["content-type"]) == (200, "image/png")
    image = picture(file.content)
    assert (image.format, image.size) == ("PNG", (512, 512))
    head = client.head(f"/download/{name}")
    assert (head.status_code, head.content) == (200, b"")
    assert client.get("/download/nothing.png").status_code == 404


def test_sizes_and_formats_are_exact(client: Client) -> None:
    for fmt, size in (("png", (1024, 576)), ("jpeg", (640, 640)), ("webp", (64, 2048))):
        body = {"prompt": "x", "format": fmt, "width": size[0], "height": size[1]}
        answer = client.post("/generate", json=body).json()
        image = picture(outside(answer["image_url"]).content)
        assert (image.format, image.size) == (fmt.upper(), size)


def test_the_model_service(client: Client) -> None:
    body: dict[str, Any] = {"prompt": "A fox", "params": {"seed": 42, "width": 320, "height": 256}}
    first, again = (client.post("/v1/generate", json=body).json() for _ in range(2))
    files = [client.get(answer["images"][0]["url"]).content for answer in (first, again)]
    assert files[0] == files[1]
    assert picture(files[0]).size == (320, 256)
    other = client.post("/v1/generate", json={**body, "params": {**body["params"], "seed": 43}}).json()
    assert client.get(other["images"][0]["url"]).content != files[0]


@pytest.mark.parametrize("slash", ["/", "%2F", "%2f"])
def test_a_model_by_its_id(client: Client, slash: str) -> None:
    path = f"/v1/models/stabilityai{slash}sdxl-turbo"
    status, _, body = client.verbatim("GET", path)
    found = json.loads(body)
    assert (status, found["id"]) == (200, "stabilityai/sdxl-turbo")
    assert found in client.get("/v1/models").json()["data"]
    status, _, body = client.verbatim("HEAD", path)
    assert (status, body) == (200, b"")
    status, headers, _ = client.verbatim("DELETE", path)
    assert (status, headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    for unknown in (f"a{slash}b", f"a{slash}b{slash}c", "runware:999@1"):
        assert client.verbatim("GET", f"/v1/models/{unknown}")[0] == 404
    for spelled in ("runware:101@1", "runware%3A101%401"):
        status, _, body = client.verbatim("GET", f"/v1/models/{spelled}")
        assert (status, json.loads(body)["id"]) == (200, "runware:101@1")


def test_the_openai_sdk_reads_the_models(stack: Stack) -> None:
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="none") as sdk:
        for model in sdk.models.list().data:
            assert sdk.models.retrieve(model.id).id == model.id
        with pytest.raises(openai.NotFoundError):
            sdk.models.retrieve("nobody/nothing")


def test_a_pre_signed_url_is_checked(client: Client) -> None:
    url = client.post("/generate", json={"prompt": "x"}).json()["image_url"]
    assert outside(url).headers["content-type"] == "image/png"
    parts = urlsplit(url)
    query = {k: v[0] for k, v in parse_qs(parts.query).items()}

    def changed(path: str = parts.path, **more: str) -> int:
        return outside(urlunsplit(parts._replace(path=path, query=urlencode(query | more)))).status_code

    assert changed() == 200
    assert changed(**{"X-Amz-Expires": "86400"}) == 403
    assert changed(**{"X-Amz-Signature": "0" * 64}) == 403
    assert changed(path=parts.path.replace("/default/default/", "/acme/default/")) == 403
    assert outside(urlunsplit(parts._replace(query=""))).status_code == 403


def test_a_pre_signed_url_expires(start: Start) -> None:
    with start(PRESIGNED_URL_TTL_SECONDS="6") as stack:
        made = http.post(f"{stack.url}/generate", json={"prompt": "x"}, timeout=60)
        url = made.json()["image_url"]
        assert outside(url).status_code == 200
        while outside(url).status_code == 200:
            time.sleep(0.5)
        assert outside(url).status_code == 403
        job = http.get(f"{stack.url}/unified/jobs/{made.json()['generation_id']}").json()
        assert outside(job["images"][0]["download_url"]).status_code == 200


def test_respond_async_and_the_job(client: Client) -> None:
    answer = client.post("/generate", json={"prompt": "later"}, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    location = answer.headers["location"]
    assert location == f"/unified/jobs/{answer.json()['generation_id']}"
    job = ended(client, answer.json()["generation_id"])
    assert job["status"] == "completed"
    assert picture(outside(job["images"][0]["url"]).content)
    stable = client.get(job["images"][0]["local_url"])
    assert stable.status_code == 200
    assert client.delete(location).status_code == 409
    assert client.get(f"/unified/jobs/{uuid.uuid4()}").status_code == 404


def test_listing_pages_through_all_jobs(client: Client) -> None:
    made = [client.post("/generate", json={"prompt": f"n{i}", "width": 64, "height": 64}).json() for i in range(5)]
    ids = [m["generation_id"] for m in made]
    seen, cursor = [], None
    while True:
        page = client.get(
            "/unified/jobs", params={"limit": 2, "provider": "demo"} | ({"cursor": cursor} if cursor else {})
        )
        seen += [job["generation_id"] for job in page.json()["jobs"]]
        cursor = page.json()["next_cursor"]
        if cursor is None or len(seen) >= 5:
            break
    assert seen[:5] == ids[::-1]
    assert client.get("/unified/jobs", params={"status": "failed", "project_id": "nothing"}).json()["jobs"] == []


def test_two_equal_requests_at_once_make_one_job(client: Client) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post("/generate", json={"prompt": "once"}, headers=key), range(4)))
    assert {a.status_code for a in answers} <= {200, 409}
    made = {a.json()["generation_id"] for a in answers if a.status_code == 200}
    assert len(made) == 1
    again = client.post("/generate", json={"prompt": "once"}, headers=key)
    assert again.json()["generation_id"] in made
    assert client.post("/generate", json={"prompt": "twice"}, headers=key).status_code == 409


@pytest.mark.parametrize("path", ["/generate", "/generate-image", "/v1/generate"])
def test_hostile_bodies(client: Client, path: str) -> None:
    for name, body in BODIES.items():
        answer = client.post(path, data=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, (name, answer.status_code, answer.text[:200])
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", "/generate-image", {"Content-Type": "multipart/form-data"}, b"--x", 415),
        ("POST", "/generate", {"Content-Type": "multipart/form-data"}, b"--x", 400),
        ("POST", "/generate", {"Content-Type": "text/xml"}, b"<a/>", 415),
        ("POST", "/generate", {"Content-Type": "application/x-www-form-urlencoded"}, b'{"prompt": "x"}', 200),
        ("POST", "/generate", {}, b'{"prompt": "x"}', 200),
        ("POST", "/generate", {"Content-Type": "application/json"}, b" " * (10 * 1024 * 1024 + 1), 413),
        ("GET", "/generate", {}, b"", 405),
        ("PUT", "/health", {}, b"", 405),
        ("GET", "/nothing/here", {}, b"", 404),
        ("GET", "/v1/jobs/1", {}, b"", 410),
        ("GET", "/unified/jobs?limit=-1", {}, b"", 400),
        ("OPTIONS", "/generate", {"Origin": "https://a.example"}, b"", 204),
    ],
)
def test_what_the_gateway_and_the_service_refuse(
    client: Client, method: str, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = client.request(method, path, headers=headers, data=body)
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["x-request-id"]
    assert answer.headers["access-control-allow-origin"] == "*"
    if status >= 400:
        problem = answer.json()
        assert problem["status"] == status
        assert problem.keys() >= {"type", "title", "detail", "instance", "code"}
    if status == 405:
        assert answer.headers["allow"]


def test_a_name_of_a_file_is_no_path(client: Client) -> None:
    status, _, body = client.verbatim("GET", "/download/%2e%2e%2f%2e%2e%2fetc%2fpasswd")
    assert (status, json.loads(body)["status"]) == (404, 404)


def test_keys_and_tenants(start: Start) -> None:
    with start(REQUIRE_API_KEY="1", API_KEYS="acme:k-acme,umbrella:k-umbrella,k-default") as stack:
        client = Client(stack.url)
        for path in ("/health", "/docs", "/openapi.json"):
            assert client.get(path).status_code == 200
        for path in ("/generate", "/v1/images/generations", "/nothing/here"):
            none = client.post(path, json={"prompt": "x"}, headers={"Origin": "https://a.example"})
            assert (none.status_code, none.headers["www-authenticate"]) == (401, "Bearer")
            assert none.headers["x-request-id"]
            assert none.headers["access-control-allow-origin"] == "*"
            assert "WWW-Authenticate" in none.headers["access-control-expose-headers"]
            said = none.json()
            assert (said["status"], said["code"], said["instance"]) == (401, "missing_api_key", path)
            assert (said["error"]["code"], said["error"]["type"]) == ("missing_api_key", "authentication_error")
        with pytest.raises(openai.AuthenticationError, match="API key"):
            openai.OpenAI(base_url=f"{stack.url}/v1", api_key="-", max_retries=0).models.list(
                extra_headers={"Authorization": openai.Omit()}
            )
        assert client.post("/generate", json={"prompt": "x"}, headers={"X-API-Key": "nope"}).status_code == 403
        acme, umbrella = {"X-API-Key": "k-acme"}, {"Authorization": "Bearer k-umbrella"}
        made = client.post("/generate-image", json={"prompt": "x"}, headers=acme).json()
        job, file = f"/unified/jobs/{made['generation_id']}", f"/download/{made['image_url']}"
        assert client.get(job, headers={"Authorization": "Bearer k-acme"}).status_code == 200
        for path in (job, file, file.replace("download", "files")):
            assert client.get(path, headers=acme).status_code == 200
            assert client.get(path, headers=umbrella).status_code == 404
        assert client.delete(job, headers=umbrella).status_code == 404
        assert client.get("/unified/jobs", headers=umbrella).json()["jobs"] == []
        models = openai.OpenAI(base_url=f"{stack.url}/v1", api_key="k-default").models.list()
        assert any(m.id == "demo/procedural-1" for m in models)
        with pytest.raises(openai.PermissionDeniedError):
            openai.OpenAI(base_url=f"{stack.url}/v1", api_key="nope", max_retries=0).models.list()


@pytest.mark.alone
def test_200_requests_at_once(client: Client) -> None:
    errors: list[str] = []
    done: list[tuple[int, str]] = []
    gate = threading.Event()

    def one(i: int) -> None:
        gate.wait()
        try:
            body = {"prompt": f"picture {i}", "params": {"seed": i + 1, "width": 64, "height": 64}}
            answer = client.post("/v1/generate", json=body, timeout=120)
            assert answer.status_code == 200, answer.text[:200]
            [image] = answer.json()["images"]
            assert image["seed"] == i + 1
            done.append((i, image["image_id"]))
        except Exception as error:
            errors.append(f"{i}: {error!r}")

    threads = [threading.Thread(target=one, args=(i,)) for i in range(200)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len({image for _, image in done}) == 200


def test_the_documentation_is_complete(client: Client) -> None:
    spec = client.get("/openapi.json").json()
    assert spec["openapi"].startswith("3.1")
    assert {"/generate", "/generate-image", "/v1/generate", "/v1/models", "/unified/jobs"} <= set(spec["paths"])
    page = client.get("/docs").text
    assert not re.search(r"<(script|link)[^>]+(src|href)=\"https?:", page)


@pytest.mark.alone
def test_a_killed_function_leaves_no_job_without_an_end(start: Start) -> None:
    """SIGKILL of every function process while requests are under way: each job still reaches a final state."""
    import os
    import signal

    with start() as stack:
        client = Client(stack.url)
        client.post("/generate", json={"prompt": "warm"})
        stop = threading.Event()

        def keep_asking() -> None:
            while not stop.is_set():
                client.post("/generate", json={"prompt": "x", "width": 2048, "height": 2048})

        askers = [threading.Thread(target=keep_asking) for _ in range(4)]
        for asker in askers:
            asker.start()
        killed, until = 0, time.monotonic() + 60
        while killed < 10 and time.monotonic() < until:
            time.sleep(0.4)
            for pid in stack.function_pids("api"):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        stop.set()
        for asker in askers:
            asker.join()
        assert killed >= 5
        until = time.monotonic() + 90
        while time.monotonic() < until:
            left = [
                job
                for status in ("queued", "running")
                for job in client.get("/unified/jobs", params={"status": status, "limit": 100}).json()["jobs"]
            ]
            if not left:
                break
            time.sleep(2)
        assert left == []
        ends = [j["status"] for j in client.get("/unified/jobs", params={"limit": 100}).json()["jobs"]]
        assert set(ends) == {"completed"}

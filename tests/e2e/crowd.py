"""Many concurrent clients: their requests, retries and results."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import requests
from PIL import Image

from tests.e2e import http
from tests.e2e.http import Client
from tests.gpu_worker.background.products import Product

PATIENCE = 300.0  # seconds for one client, who may be told to come again
FINAL = ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class Wish:
    """One request. `size` (width, height) and `format` are what its image must have, `seed` what it was asked with."""

    path: str
    size: tuple[int, int]
    body: dict[str, Any] | None = None  # as JSON
    fields: dict[str, str] | None = None  # as a form, with the product's photo
    product: Product | None = None
    format: str = "png"
    seed: int | None = None
    later: bool = False  # answered by a job


@dataclass
class Got:
    """The last answer to a wish, its job as it ended, its files, and the answers that told the client to come again."""

    wish: Wish
    answer: requests.Response
    job: Any = None
    image: bytes = b""
    mask: bytes = b""
    told_to_wait: list[str] = field(default_factory=list)  # their request ids


class Clients:
    """Clients of one tenant."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, {"X-API-Key": key}

    def ask(self, wish: Wish) -> Got:
        """Send it, again where that is asked for, and bring what was promised."""
        with Client(self._url, headers=self._key, timeout=120) as client:
            got = self._answered(client, wish)
            if got.answer.status_code in (200, 202):
                got.job = ended(client, got.answer.json()["generation_id"])
                for image in got.job["images"]:
                    got.image = fetched(image["url"])
                    got.mask = fetched(image["mask_url"]) if "mask_url" in image else b""
            return got

    def ask_all(self, wishes: Sequence[Wish], threads: int = 40) -> list[Got]:
        """All of them at once, as many at a time as there are threads."""
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(self.ask, wishes))

    def jobs(self) -> list[dict[str, Any]]:
        """Every job of the tenant, by the pages of the list."""
        with Client(self._url, headers=self._key, timeout=120) as client:
            found: list[dict[str, Any]] = []
            query = {"limit": "100"}
            while True:
                page = client.get("/unified/jobs", params=query).json()
                found += page["jobs"]
                if page["next_cursor"] is None:
                    return found
                query["cursor"] = page["next_cursor"]

    def purge(self, model_id: str | None = None) -> requests.Response:
        """Empty the GPU worker's memory."""
        body = {} if model_id is None else {"model_id": model_id}
        with Client(self._url, headers=self._key, timeout=120) as client:
            return client.post("/v1/models/purge", json=body)

    @staticmethod
    def _answered(client: Client, wish: Wish) -> Got:
        """The answer. One that the gateway gave up waiting for, on a busy machine, is asked for again by its key."""
        until, told, key = time.monotonic() + PATIENCE, list[str](), str(uuid.uuid4())
        files = {"file": ("product.png", wish.product.file(alpha=True), "image/png")} if wish.product else None
        while True:
            headers = {"Idempotency-Key": key} | ({"Prefer": "respond-async"} if wish.later else {})
            answer = client.post(wish.path, json=wish.body, data=wish.fields, files=files, headers=headers)
            if not _to_be_continued(answer) or time.monotonic() > until:
                return Got(wish, answer, told_to_wait=told)
            if answer.status_code in (429, 503):
                told.append(answer.headers["X-Request-Id"])
                key = str(uuid.uuid4())
            time.sleep(float(answer.headers.get("Retry-After", "1")))


def _to_be_continued(answer: requests.Response) -> bool:
    again = (429, 503, 409)
    return answer.status_code in again or (answer.status_code, answer.json().get("code")) == (504, "gateway_timeout")


def ended(client: Client, generation_id: str) -> dict[str, Any]:
    """The job when it has ended."""
    until = time.monotonic() + PATIENCE
    while True:
        job: dict[str, Any] = client.get(f"/unified/jobs/{generation_id}").json()
        if job["status"] in FINAL:
            return job
        assert time.monotonic() < until, job
        time.sleep(0.3)


def fetched(url: str) -> bytes:
    """What is behind a pre-signed link, which needs no key."""
    answer = http.get(url, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.content


def opened(data: bytes) -> Image.Image:
    """A whole picture."""
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def mixed(*parts: Iterable[Wish]) -> list[Wish]:
    """In turns, each part spread evenly over the whole."""
    placed = [(n / len(part), w) for part in map(list, parts) for n, w in enumerate(part)]
    return [wish for _, wish in sorted(placed, key=lambda at: at[0])]

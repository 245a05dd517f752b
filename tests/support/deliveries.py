"""A service with one stored image of the test's own, as it is handed out over the API."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from lambdas.adapters.images.pictures import PillowPictures
from lambdas.domain.jobs.request import GeneratedImage, ImageTask
from lambdas.settings import Settings
from tests.api.client import Answer, Client
from tests.support.fakes import FakeLimits, FakeProviders, Fakes

NOBODY = {"tenant": "", "auth": "missing"}


def saved(picture: Image.Image, kind: str = "png", **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def ramp(size: tuple[int, int] = (512, 384), mode: str = "RGB") -> Image.Image:
    """Colours that differ from place to place; of RGBA the left half is clear."""
    across, down = Image.linear_gradient("L").rotate(90).resize(size), Image.linear_gradient("L").resize(size)
    made = Image.merge("RGB", (across, down, Image.new("L", size, 90)))
    if mode == "RGBA":
        clear = Image.new("L", size, 255)
        clear.paste(0, (0, 0, size[0] // 2, size[1]))
        made.putalpha(clear)
    return made


@dataclass
class Painter:
    data: bytes

    def paint(self, order: ImageTask, timeout: float) -> GeneratedImage:
        return GeneratedImage(self.data, order.seed)


@dataclass
class Shelf:
    """One image. `ask` is its owner's, `ask_without` somebody's who has no key where one is needed."""

    data: bytes = field(default_factory=lambda: saved(ramp()))
    kind: str = "png"
    per_minute: int = 0
    decoded: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = Image.open(io.BytesIO(self.data)).size
        pictures = _Counted(self.decoded)
        providers = FakeProviders(demo=Painter(self.data))
        self.deps = Fakes(pictures=pictures, providers=providers)
        self.ask = Client(self.deps, Settings(deployed=True))
        body = {"prompt": "x", "width": size[0], "height": size[1], "format": self.kind}
        self.job = self.ask("POST", "/unified/generate", body).json()
        self.image = self.job["images"][0]
        assert (self.image["width"], self.image["height"]) == size
        if self.per_minute:
            object.__setattr__(self.deps, "limits", FakeLimits(self.per_minute))
        self.ask_without = Client(self.deps, Settings(require_api_key=True), NOBODY)

    @property
    def path(self) -> str:
        return str(self.image["local_url"])

    @property
    def variants(self) -> list[str]:
        return self.deps.blobs.names("variants/")

    def put(self, data: bytes) -> None:
        """Lay other bytes in the image's place."""
        stored = self.deps.jobs.images["acme", self.path.rpartition("/")[2]]
        self.deps.blobs.put(stored.key, data, "")

    def record(self, **changes: Any) -> None:
        """Change the image's record."""
        name = self.path.rpartition("/")[2]
        self.deps.jobs.images["acme", name] = replace(self.deps.jobs.images["acme", name], **changes)

    def get(self, query: str = "", **headers: str) -> Answer:
        return self.ask("GET", f"{self.path}?{query}" if query else self.path, headers=headers)

    def picture(self, query: str, **headers: str) -> Image.Image:
        answer = self.get(query, **headers)
        assert answer.status == 200, answer.body[:300]
        made = Image.open(io.BytesIO(answer.body))
        assert Image.MIME[str(made.format)] == answer.headers["Content-Type"]
        made.load()
        return made

    def delete(self) -> None:
        url = f"/unified/jobs/{self.job['generation_id']}/images/{self.image['id']}"
        assert self.ask("DELETE", url).status == 204

    def link(self, **body: Any) -> Answer:
        url = f"/unified/jobs/{self.job['generation_id']}/images/{self.image['id']}/link"
        return self.ask("POST", url, body, {"Host": "api.example"})

    def linked(self, **body: Any) -> str:
        """The path and query of a new link."""
        answer = self.link(**body)
        assert answer.status == 201, answer.body
        parts = urlsplit(answer.json()["url"])
        return f"{parts.path.removeprefix('/prod')}?{parts.query}"


class _Counted(PillowPictures):
    def __init__(self, decoded: list[int]) -> None:
        self._decoded = decoded

    def vary(self, data: bytes, recipe: Any) -> bytes:
        self._decoded.append(len(data))
        return super().vary(data, recipe)

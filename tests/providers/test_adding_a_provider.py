"""The guide to adding a provider works: a copy of the service that follows it has one more."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests
from PIL import Image

from tests.support.quiet_handler import QuietHandler

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "lambdas" / "providers" / "README.md"
# A file that is there already -> what follows the block that goes into it, and what its lines end with.
FOLLOWING = {
    "lambdas/domain/providers.py": (")\nDEMO:", ",\n"),
    "lambdas/settings.py": ('    ollama_url: str = ""', "\n"),
}


class Toy:
    """The service that the page's example asks."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        toy = self

        class Handler(QuietHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                toy.asked.append((self.headers["Authorization"], body))
                out = io.BytesIO()
                Image.new("RGB", (body["width"], body["height"]), "teal").save(out, "PNG")
                answer = json.dumps({"image": base64.b64encode(out.getvalue()).decode()}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


class Api:
    """The copied service."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, path: str, **query: str) -> requests.Response:
        return self._session.get(self._url + path, params=query, timeout=60)

    def generate(self, **body: Any) -> requests.Response:
        return self._session.post(f"{self._url}/unified/generate", json={"prompt": "a fox", **body}, timeout=60)


@pytest.fixture(scope="module")
def toy() -> Iterator[Toy]:
    made = Toy()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def api(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "lambdas", folder / "lambdas", ignore=shutil.ignore_patterns("__pycache__"))
    follow(PAGE.read_text(encoding="utf-8"), folder)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT))),
        "POWERTOOLS_SERVICE_NAME": "image-api",
        "POWERTOOLS_METRICS_NAMESPACE": "ImageApi",
        "TOY_API_KEY": "a-key",
        "TOY_BASE_URL": toy.url,
    }
    command = [sys.executable, "-m", "tests.support.api_over_http"]
    with (
        (folder / "log").open("w", encoding="utf-8") as log,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.PIPE, text=True
        ) as server,
    ):
        assert server.stdin and server.stderr
        yield Api(server.stderr.readline().strip())
        server.stdin.close()


def follow(page: str, folder: Path) -> None:
    """Write each block of the page into the file that it names."""
    for name, block in re.findall(r"```python (\S+)\n(.*?)```", page, re.DOTALL):
        path = folder / name
        if path.exists():
            text, (following, end) = path.read_text(encoding="utf-8"), FOLLOWING[name]
            assert text.count(following) == 1
            rows = "".join(f"    {line}{end}" for line in block.splitlines())
            block = text.replace(following, rows + following)  # noqa: PLW2901
        path.write_text(block, encoding="utf-8")


def test_it_can_be_named_and_makes_an_image(api: Api, toy: Toy) -> None:
    answer = api.generate(provider="toy", seed=7)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["provider"], made["status"], made["metadata"]["provider_model"]) == ("toy", "completed", "toy/first")
    assert made["metadata"]["cost_usd"] == 0.01
    asked = {"model": "toy/first", "prompt": "a fox", "seed": 7, "width": 256, "height": 256}
    assert toy.asked == [("Bearer a-key", asked)]
    [image] = made["images"]
    picture = Image.open(io.BytesIO(api.get(image["local_url"]).content))
    assert (picture.format, picture.size) == ("PNG", (256, 256))
    listed = api.get("/unified/jobs", provider="toy").json()["jobs"]
    assert [job["generation_id"] for job in listed] == [made["generation_id"]]


def test_it_is_in_the_document(api: Api) -> None:
    schemas = api.get("/openapi.json").json()["components"]["schemas"]
    assert "toy" in schemas["UnifiedBody"]["properties"]["provider"]["enum"]
    [_, listed] = schemas["UnifiedBody"]["properties"]["fallback"]["anyOf"]
    assert "toy" in listed["items"]["enum"]


def test_it_is_listed(api: Api) -> None:
    models = {row["id"]: row for row in api.get("/v1/models").json()["data"]}
    assert (models["toy/first"]["provider"], models["toy/first"]["status"]) == ("toy", "available")
    providers = {row["id"]: row for row in api.get("/unified/providers").json()["providers"]}
    assert (providers["toy"]["configured"], providers["toy"]["models"]) == (True, ["toy/first"])


def test_it_is_among_the_choices_that_a_refusal_names(api: Api) -> None:
    for wrong in ({"provider": "nobody"}, {"fallback": ["nobody"]}):
        refused = api.generate(**wrong)
        assert refused.status_code == 400
        assert "toy" in refused.json()["detail"]

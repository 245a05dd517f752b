"""Debian's own Prometheus on this machine's loopback address, and what docs/ gives it: configuration and queries."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

DOCS = Path(__file__).parents[2] / "docs"
MISSING = (
    "These tests run a real Prometheus. Install it with promtool (Debian, Ubuntu: apt-get install prometheus; "
    "macOS: brew install prometheus)."
)
PATIENCE = 60.0


def found(name: str) -> str:
    """The program `prometheus` or `promtool`. Raises FileNotFoundError with a sentence for who runs the tests."""
    if path := shutil.which(name):
        return path
    raise FileNotFoundError(MISSING)


def panels() -> dict[str, list[str]]:
    """The queries of each panel of the Grafana dashboard, by its title."""
    dashboard = json.loads((DOCS / "grafana-dashboard.json").read_text("utf-8"))
    return {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in dashboard["panels"]}


def configured(folder: Path, url: str, key: str, *, every: int) -> Path:
    """The scrape configuration of docs/ for this server, `every` so many seconds, with the key in its file."""
    text = (DOCS / "prometheus.yml").read_text("utf-8")
    for stands, wanted in (
        ("scrape_interval: 30s", f"scrape_interval: {every}s"),
        ("scrape_timeout: 20s", f"scrape_timeout: {every}s"),
        ("localhost:8000", url.removeprefix("http://")),
    ):
        assert text.count(stands) == 1, stands
        text = text.replace(stands, wanted)
    (folder / "operator.key").write_text(key, "utf-8")
    file = folder / "prometheus.yml"
    file.write_text(text, "utf-8")
    return file


class Prometheus:
    """`with Prometheus(folder, file) as prometheus: prometheus.query("up")`."""

    def __init__(self, folder: Path, file: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url, self.log = f"http://{address}", folder / "prometheus.log"
        self.words = [
            found("prometheus"),
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={address}",
            "--log.level=warn",
        ]

    def __enter__(self) -> Prometheus:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.words, stdout=log, stderr=log)
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _wait_until_ready(self) -> None:
        ends = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, self.log.read_text("utf-8")
            try:
                if requests.get(f"{self.url}/-/ready", timeout=5).status_code == 200:
                    return
            except requests.ConnectionError:
                assert time.monotonic() < ends, self.log.read_text("utf-8")
            time.sleep(0.1)

    def api(self, path: str, **params: str) -> Any:
        """The data of an answer of its HTTP API."""
        answer = requests.get(f"{self.url}/api/v1/{path}", params=params, timeout=30).json()
        assert answer["status"] == "success", (params, answer)
        return answer["data"]

    def query(self, expression: str) -> dict[frozenset[tuple[str, str]], float]:
        """The values of an expression now, by their labels. Raises AssertionError where it is none."""
        data = self.api("query", query=expression)
        assert data["resultType"] == "vector"
        return {
            frozenset((name, label) for name, label in row["metric"].items() if name not in ("job", "instance")): float(
                row["value"][1]
            )
            for row in data["result"]
        }

    def wait_for(self, expression: str, value: float) -> None:
        """Wait until the expression's one value is this."""
        ends = time.monotonic() + PATIENCE
        while list(self.query(expression).values()) != [value]:
            assert time.monotonic() < ends, (expression, self.query(expression), self.api("targets"))
            time.sleep(0.2)

"""The tests' HTTP client, on requests: paths of one server, timeouts, no settings of the environment."""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import requests
from requests.adapters import HTTPAdapter

MAX_THREADS = 200  # that share one client; each finds a connection of its own


class Client(requests.Session):
    """A session with `base`, so that a path is enough. A redirect is an answer."""

    def __init__(self, base: str = "", *, timeout: float = 60, headers: dict[str, str] | None = None) -> None:
        super().__init__()
        self.base, self.timeout, self.trust_env = base, timeout, False
        self.headers.update(headers or {})
        self.mount("http://", HTTPAdapter(pool_maxsize=MAX_THREADS))

    def request(self, method: str, url: str, **given: Any) -> requests.Response:  # type: ignore[override]
        given = {"timeout": self.timeout, **given, "allow_redirects": False}
        return super().request(method, self.base + url if url.startswith("/") else url, **given)

    def get(self, url: str, **given: Any) -> requests.Response:  # type: ignore[override]
        return self.request("GET", url, **given)

    def post(self, url: str, **given: Any) -> requests.Response:  # type: ignore[override]
        return self.request("POST", url, **given)

    def verbatim(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body, for a path sent as it stands: requests rewrites `%2f` and `%2e%2e`."""
        with closing(HTTPConnection(self.base.removeprefix("http://"), timeout=self.timeout)) as connection:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def get(url: str, **given: Any) -> requests.Response:
    with Client() as client:
        return client.get(url, **given)


def post(url: str, **given: Any) -> requests.Response:
    with Client() as client:
        return client.post(url, **given)

"""Tries a deployment over HTTP: `python -m infra.deploy.smoke URL [API_KEY]` asks for its health, models and one image.

The image is one of the cheapest model's and is paid for.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import requests

CALL_SECONDS: Final = 60.0
JOB_SECONDS: Final = 900.0  # a GPU endpoint that is asleep takes minutes to start
POLL_SECONDS: Final = 2.0
IMAGE: Final = {"prompt": "A red circle on a white wall", "strategy": "cheapest", "format": "png", "cache": "off"}
PNG: Final = b"\x89PNG\r\n\x1a\n"


class SmokeError(Exception):
    """A step failed. The message says which one, and how."""


class Deployment:
    """Calls the API at `url`, with `key` if it is given."""

    def __init__(self, url: str, key: str = "") -> None:
        self._url = url.rstrip("/")
        self._key = {"X-API-Key": key} if key else {}

    def ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON object of a 2xx answer. Raises SmokeError."""
        answer = _exchange(method, f"{self._url}{path}", headers=self._key, json=body)
        try:
            found = answer.json()
        except requests.JSONDecodeError:
            found = None
        if not answer.ok or not isinstance(found, dict):
            reason = found.get("detail") or found.get("message") if isinstance(found, dict) else "no JSON object"
            raise SmokeError(f"{method} {path} answered {answer.status_code}: {reason}")
        return found

    def image(self) -> dict[str, Any]:
        """Return the finished job of one image. Polls a job that exceeds the gateway's timeout."""
        job = self.ask("POST", "/unified/generate", IMAGE)
        ends_at = time.monotonic() + JOB_SECONDS
        while job.get("status") in ("queued", "running") and time.monotonic() < ends_at:
            time.sleep(POLL_SECONDS)
            job = self.ask("GET", f"/unified/jobs/{job['generation_id']}")
        if job.get("status") != "completed" or not job.get("images"):
            raise SmokeError(f"the image was not made: job {job.get('generation_id')} is {job.get('status')}")
        return job


def check(url: str, key: str = "") -> list[str]:
    """Return a line for each step that succeeded. Raises SmokeError at the first that failed."""
    deployment = Deployment(url, key)
    lines = [f"health  {deployment.ask('GET', '/health')['status']}"]
    models = deployment.ask("GET", "/v1/models")
    if not models["models"]:
        raise SmokeError("GET /v1/models lists no model that could be used")
    lines.append(f"models  {len(models['models'])}, by default {models['default_model']}")
    job = deployment.image()
    made = job["metadata"]
    lines.append(f"image   by {job['provider']}, {made['provider_model']}, {made['cost_usd']} USD")
    picture = _exchange("GET", job["images"][0]["url"])  # without the key: the URL is signed
    if not picture.ok or not picture.content.startswith(PNG):
        raise SmokeError(f"the image's pre-signed URL answered {picture.status_code}, and no PNG")
    return [*lines, f"file    {len(picture.content)} bytes of PNG"]


def _exchange(method: str, url: str, **given: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False  # a .netrc would add a key of its own
        try:
            return session.request(method, url, timeout=CALL_SECONDS, allow_redirects=False, **given)
        except requests.RequestException as error:
            address = url.partition("?")[0]  # without its signature
            raise SmokeError(f"{method} {address} got no answer ({type(error).__name__})") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the steps. Returns the exit status: 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m infra.deploy.smoke", description=__doc__)
    parser.add_argument("url", help="the output ApiUrl of the deployment, or http://localhost:8000")
    parser.add_argument("key", nargs="?", default="", help="an API key, where one is required")
    given = parser.parse_args(arguments)
    try:
        print("\n".join(check(given.url, given.key)))
    except SmokeError as error:
        print(f"FAILED  {error}")
        return 1
    except (KeyError, IndexError, TypeError) as error:
        print(f"FAILED  an answer has not the form of this service's ({type(error).__name__}: {error})")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Fixtures: one local stack for the end-to-end tests, and a function that starts another one with its own settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from local import settings
from local.settings import ROOT
from local.stack import Stack
from tests.e2e.http import Client

NO_ENV_FILE = ROOT / "no .env in tests"
Start = Callable[..., AbstractContextManager[Stack]]


def make_stack(data_dir: Path, **given: str) -> Stack:
    """A stack on a free port with its own data, not started yet; `given` are settings as in `.env`."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment |= {"APP_PORT": "0", "DATA_DIR": str(data_dir), **given}
    return Stack(settings.load(environment, NO_ENV_FILE))


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack that the tests share; no key is needed on it."""
    with make_stack(tmp_path_factory.mktemp("shared")) as stack:
        yield stack


@pytest.fixture(scope="session")
def client(stack: Stack) -> Iterator[Client]:
    """An HTTP client of the shared stack."""
    with Client(stack.url) as client:
        yield client


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """`with start(REQUIRE_API_KEY="1", API_KEYS="acme:k") as stack:` runs one of the test's own."""
    return lambda **given: make_stack(tmp_path / "data", **given)

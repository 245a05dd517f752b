"""Fixtures: a Bedrock double, and the real provider that calls it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from lambdas.providers import bedrock
from lambdas.providers.text.bedrock_text import BedrockText
from lambdas.providers.text.ollama import Ollama
from lambdas.settings import Settings
from tests.doubles.accounts import KINDS, World
from tests.doubles.bedrock.service import FakeBedrock
from tests.doubles.ollama import FakeOllama


@pytest.fixture(scope="module")
def _pair() -> Iterator[tuple[FakeBedrock, bedrock.Bedrock]]:
    with FakeBedrock() as fake:
        yield fake, bedrock.build(Settings())


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that belong to nobody, and no configuration of this machine."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)  # it keeps the credentials it has found


@pytest.fixture
def fake(_pair: tuple[FakeBedrock, bedrock.Bedrock], monkeypatch: pytest.MonkeyPatch) -> FakeBedrock:
    fake = _pair[0]
    fake.clear()
    fake.calls.clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", fake.url)
    return fake


@pytest.fixture
def provider(_pair: tuple[FakeBedrock, bedrock.Bedrock], fake: FakeBedrock) -> bedrock.Bedrock:
    return _pair[1]


@pytest.fixture(scope="module")
def _ollama() -> Iterator[FakeOllama]:
    with FakeOllama() as server:
        yield server


@pytest.fixture
def server(_ollama: FakeOllama) -> FakeOllama:
    _ollama.clear()
    _ollama.calls.clear()
    return _ollama


@pytest.fixture
def local(server: FakeOllama) -> Ollama:
    return Ollama(f"{server.url}/", Settings().ollama_model)


@pytest.fixture(scope="module")
def _cloud() -> BedrockText:
    return BedrockText(Settings().bedrock_region, Settings().bedrock_text_model)


@pytest.fixture
def cloud(_cloud: BedrockText, fake: FakeBedrock) -> BedrockText:
    _cloud._finding = (False, 0.0)
    return _cloud


@pytest.fixture(scope="module")
def _world() -> Iterator[World]:
    with ExitStack() as stack:
        doubles: list[Any] = [stack.enter_context(kind()) for kind in KINDS]
        yield World(*doubles)


@pytest.fixture
def world(_world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """An account at every service, all in order."""
    _world.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK", _world.aws.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", _world.aws.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    return _world

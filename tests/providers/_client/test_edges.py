"""Errors of proxies in front of a service are not the service's: every adapter with their pages and encodings."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from lambdas import USER_AGENT
from lambdas.domain import catalogue
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.request import ImageTask, Ticket
from lambdas.domain.prompts import LIMIT
from lambdas.providers import comfyui, gemini, leonardo_ai, runware_ai, sagemaker
from lambdas.providers._client import fetch
from lambdas.providers._client.http import Answer, call, failure
from lambdas.providers.text.ollama import Ollama
from lambdas.settings import Settings
from tests.doubles import gemini as gemini_double
from tests.doubles import leonardo as leonardo_double
from tests.doubles import runware as runware_double
from tests.doubles.bedrock.service import FakeBedrock
from tests.doubles.comfyui import FakeComfyUI
from tests.doubles.edges import CODINGS, EDGES
from tests.doubles.gpu import ENDPOINT, FakeGpu
from tests.doubles.ollama import FakeOllama
from tests.doubles.service import FakeService

TICKETS = ("leonardo_ai", "runware_ai", "comfyui")
PAINTERS = ("gemini", "worker", "endpoint")
FREE = ("comfyui", "worker", "endpoint")  # no call of theirs is ever paid


@dataclass
class Pair:
    fake: Any
    provider: Any
    order: ImageTask


def order_of(provider: str) -> ImageTask:
    card = catalogue.cards_of(provider)[0]
    size = (1024, 1024) if not card.sides else (512, 512)
    ratio = "1:1" if card.ratios else None
    return ImageTask(card, "a cat", 7, size, ratio=ratio, id="7d0cf0b2-8f47-4c8e-9a0e-2b8f3a1c5d11")


@pytest.fixture(scope="module")
def _pairs() -> Iterator[dict[str, Pair]]:
    made: dict[str, Callable[[Any], Any]] = {
        "leonardo_ai": lambda fake: leonardo_ai.build(
            Settings(leonardo_api_key=leonardo_double.KEY, leonardo_base_url=fake.base_url)
        ),
        "runware_ai": lambda fake: runware_ai.build(
            Settings(runware_api_key=runware_double.KEY, runware_base_url=fake.base_url)
        ),
        "gemini": lambda fake: gemini.build(
            Settings(gemini_api_key=gemini_double.KEY, gemini_base_url=f"{fake.url}/v1beta")
        ),
        "comfyui": lambda fake: comfyui.build(Settings(comfyui_url=fake.url)),
        "worker": lambda fake: sagemaker.build(Settings(gpu_worker_url=fake.url)),
        "endpoint": lambda fake: sagemaker.Endpoint(ENDPOINT),
    }
    fakes: dict[str, FakeService] = {
        "leonardo_ai": leonardo_double.FakeLeonardo(),
        "runware_ai": runware_double.FakeRunware(),
        "gemini": gemini_double.FakeGemini(),
        "comfyui": FakeComfyUI(),
        "worker": FakeGpu(),
        "endpoint": FakeGpu(),
    }
    pairs = {}
    for name, fake in fakes.items():
        fake.__enter__()
        orders = order_of("sagemaker" if name in ("worker", "endpoint") else name)
        pairs[name] = Pair(fake, made[name](fake), orders)
    yield pairs
    for fake in fakes.values():
        fake.__exit__()


@pytest.fixture
def pairs(_pairs: dict[str, Pair], monkeypatch: pytest.MonkeyPatch) -> dict[str, Pair]:
    monkeypatch.setattr(fetch, "PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", _pairs["endpoint"].fake.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for pair in _pairs.values():
        pair.fake.clear()
        pair.fake.calls.clear()
    _pairs["runware_ai"].fake.tasks.clear()
    return _pairs


def begun(pair: Pair) -> Any:
    if hasattr(pair.provider, "submit"):
        return pair.provider.submit(pair.order, 20)
    return pair.provider.paint(pair.order, 20)


def image(pair: Pair, ticket: Ticket) -> Any:
    for _ in range(50):
        if painted := pair.provider.collect(ticket, pair.order, 20):
            return painted
        time.sleep(0.02)
    raise AssertionError("it never came")


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", [*TICKETS, *PAINTERS])
def test_a_page_in_place_of_the_service(name: str, edge: str, pairs: dict[str, Pair]) -> None:
    """No key is bad, no model gone and no request at fault: the next provider is asked, and this one soon again."""
    pair, below_500 = pairs[name], EDGES[edge].status < 500
    pair.fake.inject(edge)
    with pytest.raises(ProviderFailure) as caught:
        begun(pair)
    assert caught.value.code == "unavailable"
    assert caught.value.paid == ("unknown" if EDGES[edge].paid and name not in FREE else "no")
    assert not below_500 or caught.value.paid == "no"
    assert begun(pair)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("name", TICKETS)
def test_a_page_when_asked_after_work_is_no_end_of_it(name: str, edge: str, pairs: dict[str, Pair]) -> None:
    pair = pairs[name]
    ticket = begun(pair)
    pair.fake.inject(edge, at="ask")
    with pytest.raises(ProviderFailure) as caught:
        pair.provider.collect(ticket, pair.order, 20)
    assert (caught.value.code, caught.value.paid) == ("unavailable", "unknown")
    assert image(pair, ticket).data


@pytest.mark.parametrize("edge", EDGES)
def test_bedrock_behind_a_proxy(edge: str, fake: FakeBedrock, provider: Any) -> None:
    fake.inject(edge)
    with pytest.raises(ProviderFailure) as caught:
        provider.paint(order_of("bedrock"), 20)
    assert (caught.value.code, caught.value.paid) == ("unavailable", "unknown" if EDGES[edge].paid else "no")
    assert provider.paint(order_of("bedrock"), 20).data


@pytest.mark.parametrize("edge", EDGES)
def test_ollama_behind_a_proxy(edge: str, local: Ollama, server: FakeOllama) -> None:
    server.inject(edge)
    with pytest.raises(ProviderFailure) as caught:
        local.rewrite("a cat " * 600, LIMIT, 5)
    assert caught.value.code == "unavailable"


def test_an_edge_that_throttles_or_gave_up_waiting_says_so() -> None:
    page = {"content-type": "text/html", "retry-after": "7"}
    assert failure(Answer(429, page, b"<html>"), "X").code == "throttled"
    assert failure(Answer(429, page, b"<html>"), "X").retry_after == 7
    for status in (504, 524):
        assert (failure(Answer(status, page, b"<html>", True), "X").code) == "timeout"


@pytest.mark.parametrize("coding", sorted(CODINGS))
@pytest.mark.parametrize("name", [*TICKETS, "gemini", "worker"])
def test_an_answer_that_is_coded_though_nobody_asked(name: str, coding: str, pairs: dict[str, Pair]) -> None:
    pair = pairs[name]
    pair.fake.inject(coding)
    if coding in ("gzip", "gzip_members"):
        assert begun(pair)
        return
    if name == "comfyui":  # a lost answer of a server that takes our own id
        assert image(pair, begun(pair)).data
        return
    with pytest.raises(ProviderFailure) as caught:
        begun(pair)
    assert (caught.value.code, caught.value.paid) == ("bad_answer", "no" if name in FREE else "unknown")


@pytest.mark.parametrize("coding", ["gzip", "gzip_members"])
@pytest.mark.parametrize("name", TICKETS)
def test_a_picture_that_is_coded(name: str, coding: str, pairs: dict[str, Pair]) -> None:
    pair = pairs[name]
    ticket = begun(pair)
    pair.fake.inject(coding, at="image")
    with Image.open(io.BytesIO(image(pair, ticket).data)) as picture:
        picture.load()


def test_every_call_says_who_calls(pairs: dict[str, Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-ins answer nobody else: not the work, not the questions, not the pictures."""
    for name in TICKETS:
        assert image(pairs[name], begun(pairs[name])).data
        assert not [c for c in pairs[name].fake.calls if c.fault == "nameless"]
    monkeypatch.setattr("lambdas.egress.wire.USER_AGENT", "")
    for name in (*TICKETS, "gemini", "worker"):
        with pytest.raises(ProviderFailure) as caught:
            begun(pairs[name])
        assert caught.value.code == "unavailable"
        assert pairs[name].fake.calls[-1].fault == "nameless"


def test_our_name_is_a_default(pairs: dict[str, Pair]) -> None:
    seen: list[str | None] = []
    fake = pairs["comfyui"].fake
    route = fake.route

    def look(request: Any) -> Any:
        seen.append(request.headers.get("User-Agent"))
        return route(request)

    fake.route = look
    try:
        call("GET", f"{fake.url}/queue", timeout=5, who="X")
        call("GET", f"{fake.url}/queue", headers={"user-agent": "hooks/1"}, timeout=5, who="X")
    finally:
        del fake.route
    assert seen == [USER_AGENT, "hooks/1"]
    assert USER_AGENT.startswith("image-api/")

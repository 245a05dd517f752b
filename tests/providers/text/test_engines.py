"""Ollama and Bedrock as prompt engines: requests, the reading of answers, and timeouts."""

from __future__ import annotations

import json
import logging
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain.failures import ProviderFailure
from lambdas.domain.prompts import LIMIT
from lambdas.domain.prompts.compress import compress
from lambdas.providers import text
from lambdas.providers.text import bedrock_text, ollama
from lambdas.providers.text.bedrock_text import BedrockText
from lambdas.providers.text.ollama import Ollama
from lambdas.settings import Settings
from tests.doubles.bedrock.service import FakeBedrock
from tests.doubles.ollama import STRUCTURE, FakeOllama
from tests.support.prompt_corpus import CORPUS
from tests.support.properties import examples

LONG = CORPUS[0].prompt
GPT = "openai.gpt-oss-20b-1:0"
HELD = ("hang", "drip", "drip_headers")


def test_engines_are_those_of_the_settings_and_ollama_comes_first() -> None:
    assert text.engines(Settings()) == ()
    both = text.engines(Settings(ollama_url="http://127.0.0.1:1", bedrock=True))
    assert [(engine.name, engine.model) for engine in both] == [("ollama", "gpt-oss:20b"), ("bedrock", GPT)]
    [only] = text.engines(Settings(bedrock=True, bedrock_text_model="us.amazon.nova-micro-v1:0"))
    assert only.model == "us.amazon.nova-micro-v1:0"


def test_what_ollama_is_sent() -> None:
    assert ollama.to_payload("gpt-oss:20b", "shorten", "a cat", ollama.SCHEMA) == {
        "model": "gpt-oss:20b",
        "messages": [{"role": "system", "content": "shorten"}, {"role": "user", "content": "a cat"}],
        "stream": False,
        "think": "low",
        "format": ollama.SCHEMA,
        "keep_alive": "30m",
        "options": {"num_ctx": 16384, "num_predict": 4096, "temperature": 0.2},
    }
    plain = ollama.to_payload("llama3.2", "shorten", "a cat", None)
    assert "format" not in plain
    assert plain["think"] is False


def test_what_converse_is_sent() -> None:
    payload = bedrock_text.to_payload(GPT, "shorten", "a cat", 4096)
    assert payload == {
        "modelId": GPT,
        "system": [{"text": "shorten"}],
        "messages": [{"role": "user", "content": [{"text": "a cat"}]}],
        "inferenceConfig": {"maxTokens": 4096, "temperature": 0.2},
        "additionalModelRequestFields": {"reasoning_effort": "low"},
    }
    assert "additionalModelRequestFields" not in bedrock_text.to_payload("us.amazon.nova-micro-v1:0", "s", "p", 16)


@pytest.mark.parametrize("prompt", [sample.prompt for sample in CORPUS[::6]])
def test_ollama_shortens(prompt: str, local: Ollama, server: FakeOllama) -> None:
    assert local.rewrite(prompt, LIMIT, 5).text == compress(prompt, 2400)
    [call] = server.calls
    system, user = (message["content"] for message in call.body["messages"])
    assert user == prompt
    assert prompt[:100] not in system


@pytest.mark.parametrize("fault", STRUCTURE)
def test_ollama_is_asked_once_more_without_a_schema(fault: str, local: Ollama, server: FakeOllama) -> None:
    server.inject(fault)
    assert local.rewrite(LONG, LIMIT, 5).text == compress(LONG, 2400)
    assert ["format" in call.body for call in server.calls] == [True, False]


def test_a_model_without_levels_of_thought_serves_too(server: FakeOllama) -> None:
    engine = Ollama(server.url, "llama3.2:latest")
    assert engine.rewrite(LONG, LIMIT, 5).text == compress(LONG, 2400)
    assert engine.health(5)


def test_converse_shortens_without_its_reasoning(cloud: BedrockText, fake: FakeBedrock) -> None:
    assert cloud.rewrite(LONG, LIMIT, 10).text == compress(LONG, 2400)
    [call] = fake.calls
    assert call.model == GPT
    assert call.body["messages"][0]["content"] == [{"text": LONG}]


def test_health_is_what_a_call_would_find(server: FakeOllama, local: Ollama, waits: list[float]) -> None:
    assert local.health(2)
    assert not Ollama(server.url, "gpt-oss:120b").health(2)
    for fault in ("busy", "hang", "drip_headers", "reset"):
        server.inject(fault, at="ask", seconds=0.1)
        waits.clear()
        assert not local.health(0.4)
        assert 0 < max(waits) <= 0.4
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert not Ollama(f"http://127.0.0.1:{taken.getsockname()[1]}", "gpt-oss:20b").health(1)
    assert not Ollama("no address", "gpt-oss:20b").health(1)


def test_bedrocks_health_costs_one_small_call_a_minute(cloud: BedrockText, fake: FakeBedrock) -> None:
    assert cloud.health(5)
    assert cloud.health(5)
    [call] = fake.calls
    assert call.body["inferenceConfig"]["maxTokens"] == bedrock_text.PING_TOKENS
    fake.inject("access_denied")
    cloud._finding = (True, 0.0)
    assert not cloud.health(5)
    assert not cloud.health(5)
    assert len(fake.calls) == 2


def test_no_credentials_is_a_failure_like_another(fake: FakeBedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    engine = BedrockText("us-west-2", GPT)
    with pytest.raises(ProviderFailure, match="could not be asked"):
        engine.rewrite(LONG, LIMIT, 5)
    assert not engine.health(5)
    assert fake.calls == []


def test_nothing_is_sent_without_time(local: Ollama, cloud: BedrockText, server: FakeOllama, fake: FakeBedrock) -> None:
    for engine in (local, cloud):
        with pytest.raises(ProviderFailure) as caught:
            engine.rewrite(LONG, LIMIT, 0)
        assert caught.value.code == "timeout"
    assert (server.calls, fake.calls) == ([], [])


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["message", "content", "prompt", "models", "name", "output", "stopReason", "text", "x"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.booleans())
@examples(200)
def test_any_json_is_read_or_refused(answer: object, structured: bool) -> None:
    assert all(isinstance(name, str) for name in ollama.to_names(answer))
    try:
        assert isinstance(ollama.to_text(answer, structured=structured), str)
    except ProviderFailure as failure:
        assert failure.code == "bad_answer"


def test_content_in_a_schema_is_read_even_where_none_was_asked_for() -> None:
    answer = {"message": {"content": json.dumps({"prompt": "a cat"})}, "done_reason": "stop"}
    assert ollama.to_text(answer, structured=False) == "a cat"


def test_prompts_are_not_logged(
    local: Ollama, cloud: BedrockText, server: FakeOllama, fake: FakeBedrock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.inject("internal")
    fake.inject("validation")
    for engine in (local, cloud):
        with pytest.raises(ProviderFailure):
            engine.rewrite(f"my secret wish, {LONG}", LIMIT, 5)
    assert "secret wish" not in caplog.text

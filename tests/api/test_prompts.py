"""The routes about prompts, through the whole API."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from lambdas.api.openapi import document
from lambdas.domain.errors import ProviderFailure
from lambdas.domain.prompts import LIMIT
from lambdas.domain.prompts.compress import compress
from lambdas.settings import Settings
from tests.api.client import Answer, Client
from tests.domain.prompt_corpus import CORPUS
from tests.fakes import make_deps
from tests.usecases.test_optimize_prompt import FakeEngine

LONG = CORPUS[-8].prompt
VALIDATE, HEALTH = "/unified/validate-prompt", "/unified/prompt-validator/health"


def client(*engines: FakeEngine) -> Client:
    deps = make_deps(engines=engines)
    for engine in engines:
        engine.clock = deps.clock  # type: ignore[assignment]
    return Client(deps)


def engine(**given: Any) -> FakeEngine:
    return FakeEngine(None, **given)  # type: ignore[arg-type]


def check(answer: Answer, method: str, path: str) -> Any:
    spec = document()
    schema = spec["paths"][path][method]["responses"][str(answer.status)]["content"]["application/json"]["schema"]
    jsonschema_rs.validator_for({**schema, "components": spec["components"]}).validate(answer.json())
    return answer.json()


def test_a_short_prompt() -> None:
    prompt = "a red fox in the snow, oil painting"
    answer = client(engine())("POST", VALIDATE, {"prompt": prompt})
    assert answer.status == 200
    body = check(answer, "post", VALIDATE)
    analysis = body.pop("analysis")
    assert body == {
        "valid": True,
        "original_length": len(prompt),
        "needs_optimization": False,
        "optimized_prompt": prompt,
        "optimized_length": len(prompt),
        "method": "none",
        "engine": None,
        "warnings": [],
    }
    assert set(analysis) == {"complexity_score", "readability", "keywords"}
    assert {"keyword": "oil painting", "score": 1.0} in analysis["keywords"]


def test_a_long_prompt_by_a_language_model() -> None:
    body = check(client(engine())("POST", VALIDATE, {"prompt": LONG}), "post", VALIDATE)
    assert body["original_length"] == len(LONG)
    assert body["needs_optimization"] is True
    assert (body["method"], body["engine"]) == ("llm", "gpt-oss:20b")
    assert body["optimized_prompt"] == compress(LONG, 2400)
    assert body["optimized_length"] == len(body["optimized_prompt"]) < LIMIT


def test_a_long_prompt_without_a_language_model() -> None:
    body = check(client()("POST", VALIDATE, {"prompt": LONG}), "post", VALIDATE)
    assert (body["method"], body["engine"], body["warnings"]) == ("deterministic", None, [])
    assert body["optimized_prompt"] == compress(LONG)


def test_engines_that_fail_are_told_of() -> None:
    down = engine(write=lambda prompt: ProviderFailure("unavailable", "Ollama could not be reached"))
    body = check(client(down)("POST", VALIDATE, {"prompt": LONG}), "post", VALIDATE)
    assert body["method"] == "deterministic"
    assert body["warnings"] == ["ollama did not shorten the prompt: Ollama could not be reached"]


def test_engines_get_the_gateways_time_and_no_more() -> None:
    slow = engine(seconds=100.0)
    asked = client(slow)
    assert check(asked("POST", VALIDATE, {"prompt": LONG}), "post", VALIDATE)["method"] == "deterministic"
    assert slow.timeouts == [20.0]


@pytest.mark.parametrize("length", [LIMIT - 1, LIMIT, 10_000])
def test_the_bounds(length: int) -> None:
    prompt = (LONG * 2)[: length - 1] + "x"
    body = check(client()("POST", VALIDATE, {"prompt": prompt}), "post", VALIDATE)
    assert body["original_length"] == length
    assert body["needs_optimization"] == (length >= LIMIT)
    assert body["optimized_length"] < LIMIT
    assert (body["method"] == "none") == (length < LIMIT)


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"prompt": "x" * 10_001}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n\t"}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": 5}, "prompt"),
        ({}, "prompt"),
        ({"prompt": "a cat", "limit": 5}, "limit"),
        ({"prompt": "a cat", "seed": 5}, "seed"),
    ],
)
def test_what_is_not_valid_is_400_and_named(sent: dict[str, Any], field: str) -> None:
    asked = engine()
    answer = client(asked)("POST", VALIDATE, sent)
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert asked.timeouts == []


@pytest.mark.parametrize("prompt", ["🦊 " * 3000, "狐狸，" * 2500, "x" * 10_000, "a\u0301" * 4000, "(" * 9000])  # noqa: RUF001
def test_odd_prompts_are_answered(prompt: str) -> None:
    body = check(client()("POST", VALIDATE, {"prompt": prompt}), "post", VALIDATE)
    assert 0 < body["optimized_length"] < LIMIT


def test_health_names_every_engine() -> None:
    body = check(client()("GET", HEALTH), "get", HEALTH)
    assert body == {
        "status": "ok",
        "method": "deterministic",
        "engines": [
            {"name": "ollama", "model": None, "configured": False, "reachable": False},
            {"name": "bedrock", "model": None, "configured": False, "reachable": False},
        ],
    }
    up = engine(name="bedrock", model="openai.gpt-oss-20b-1:0")
    body = check(client(engine(healthy=False), up)("GET", HEALTH), "get", HEALTH)
    assert (body["status"], body["method"]) == ("degraded", "llm")
    assert body["engines"] == [
        {"name": "ollama", "model": "gpt-oss:20b", "configured": True, "reachable": False},
        {"name": "bedrock", "model": "openai.gpt-oss-20b-1:0", "configured": True, "reachable": True},
    ]
    assert check(client(up)("GET", HEALTH), "get", HEALTH)["status"] == "ok"


@pytest.mark.parametrize(("method", "path"), [("POST", VALIDATE), ("GET", HEALTH)])
def test_a_key_is_needed_where_keys_are_required(method: str, path: str) -> None:
    closed = Client(make_deps(), Settings(require_api_key=True), {"auth": "missing"})
    assert closed(method, path, {"prompt": "a cat"} if method == "POST" else None).status == 401
    assert client()("GET" if method == "POST" else "POST", path).status == 405

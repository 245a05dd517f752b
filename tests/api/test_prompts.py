"""Contract 5.7 and 5.8: the routes about prompts, through the whole API."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from lambdas.api.openapi import document
from lambdas.domain.errors import Unavailable
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.limits import budget
from lambdas.domain.limits.budget import Caps
from lambdas.domain.prompts import LIMIT
from lambdas.domain.prompts.compress import compress
from lambdas.domain.prompts.prices import TextPrice
from lambdas.settings import Settings
from lambdas.usecases.prompts.optimize import guess
from tests.api.client import Answer, Client
from tests.support.budget_model import Books
from tests.support.fakes import FakeBooks, Fakes
from tests.support.prompt_corpus import CORPUS
from tests.usecases.prompts.test_optimize import FakeEngine

LONG = CORPUS[-8].prompt
VALIDATE, HEALTH = "/unified/validate-prompt", "/unified/prompt-validator/health"


def client(*engines: FakeEngine) -> Client:
    deps = Fakes(engines=engines)
    for engine in engines:
        engine.clock = deps.clock
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
    down = engine(write=lambda prompt: ProviderFailure(Failure.UNAVAILABLE, "Ollama could not be reached"))
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
    closed = Client(Fakes(), Settings(require_api_key=True), {"auth": "missing"})
    assert closed(method, path, {"prompt": "a cat"} if method == "POST" else None).status == 401
    assert client()("GET" if method == "POST" else "POST", path).status == 405


PAID = TextPrice(0.07, 0.30)


def paid(caps: Caps, **given: Any) -> tuple[Client, FakeEngine, Books]:
    asked = engine(name="bedrock", model="openai.gpt-oss-20b-1:0", price=PAID, cost_usd=0.000243, **given)
    deps = Fakes(engines=(asked,), caps=caps)
    asked.clock = deps.clock
    deps.jobs.books["acme", budget.month(deps.clock.now())] = month = Books()
    return Client(deps), asked, month


def test_a_paid_model_is_booked_to_the_tenants_month() -> None:
    for caps in (Caps(), Caps.of(1.0, 0)):
        ask, _, month = paid(caps)
        assert check(ask("POST", VALIDATE, {"prompt": LONG}), "post", VALIDATE)["method"] == "llm"
        assert month == Books(committed_microusd=243, spent_microusd=243)
        assert ask.deps.meter.costs == [("bedrock", "openai.gpt-oss-20b-1:0", 0.000243)]


def test_a_month_that_is_used_up_asks_no_paid_model() -> None:
    ask, asked, month = paid(Caps.of(0.02, 0))
    month.committed_microusd = 19_999
    refused = ask("POST", VALIDATE, {"prompt": LONG})
    assert (refused.status, refused.json()["code"]) == (429, "budget_exceeded")
    assert int(refused.headers["Retry-After"]) > 0
    assert asked.timeouts == []
    assert month == Books(committed_microusd=19_999)
    assert ask("POST", VALIDATE, {"prompt": "a fox"}).status == 200  # which asks nobody
    free = engine()
    free.clock = ask.deps.clock
    first = Client(replace(ask.deps, engines=(free, asked)))
    assert first("POST", VALIDATE, {"prompt": LONG}).status == 200


@pytest.mark.parametrize(
    ("failure", "spent", "lost"),
    [
        (ProviderFailure(Failure.BAD_ANSWER, "cut off", paid="unknown", made=True, cost_usd=0.0003), 300, 0),
        (ProviderFailure(Failure.TIMEOUT, "no answer", paid="unknown"), 0, None),
        (ProviderFailure(Failure.THROTTLED, "busy"), 0, 0),
        (KeyError("a surprise"), 0, None),
    ],
)
def test_a_paid_model_that_fails_is_booked_as_what_it_was(failure: Exception, spent: int, lost: int | None) -> None:
    ask, asked, month = paid(Caps.of(1.0, 0), write=lambda _prompt: failure)
    assert check(ask("POST", VALIDATE, {"prompt": LONG}), "post", VALIDATE)["method"] == "deterministic"
    guessed = budget.microusd(guess(asked, LONG))
    assert 100 < guessed < 1000
    assert (month.spent_microusd, month.lost_microusd) == (spent, guessed if lost is None else lost)
    assert month.committed_microusd == spent


def test_what_was_paid_for_is_answered_also_where_the_books_are_out_of_reach() -> None:
    ask, _, month = paid(Caps.of(1.0, 0))

    class Shut(FakeBooks):
        def settle(self, *_: Any) -> None:
            raise Unavailable("x")

    ask = Client(replace(ask.deps, books=Shut(ask.deps.jobs)))
    assert ask("POST", VALIDATE, {"prompt": LONG}).json()["method"] == "llm"
    assert 243 < month.committed_microusd < 2500

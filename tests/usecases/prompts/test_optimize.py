"""Shortening a prompt: which engines are asked, for how long, and which answers are used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.ports.providers import Rewrite
from lambdas.domain.prompts import LIMIT
from lambdas.domain.prompts.compress import compress
from lambdas.domain.prompts.prices import TextPrice
from lambdas.usecases.prompts.optimize import EngineState, engine_states, is_long, optimize
from tests.support.fakes import FakeClock
from tests.support.prompt_corpus import CORPUS
from tests.support.properties import examples

LONG = CORPUS[-8].prompt
SHORT = "a red fox in the snow"


@dataclass
class FakeEngine:
    """Takes `seconds`, then answers with what `write` makes of the prompt, or raises what it returns."""

    clock: FakeClock
    name: str = "ollama"
    model: str = "gpt-oss:20b"
    write: Callable[[str], str | Exception] = lambda prompt: compress(prompt, 2400)
    seconds: float = 1.0
    healthy: bool = True
    price: TextPrice | None = None
    cost_usd: float = 0.0
    timeouts: list[float] = field(default_factory=list)
    asked: Callable[[], object] = lambda: None

    def rewrite(self, prompt: str, limit: int, timeout: float) -> Rewrite:
        assert limit == LIMIT
        self.timeouts.append(timeout)
        self.clock.sleep(min(self.seconds, timeout))
        if self.seconds > timeout:
            raise ProviderFailure(Failure.TIMEOUT, f"no answer within {timeout:.0f} s")
        answer = self.write(prompt)
        if isinstance(answer, Exception):
            raise answer
        return Rewrite(answer, self.cost_usd)

    def health(self, timeout: float) -> bool:
        self.asked()
        return self.healthy


def engines(**first: object) -> tuple[FakeClock, FakeEngine, FakeEngine]:
    clock = FakeClock()
    return clock, FakeEngine(clock, **first), FakeEngine(clock, "bedrock", "openai.gpt-oss-20b-1:0")  # type: ignore[arg-type]


@pytest.mark.parametrize("prompt", [SHORT, "x", "  spaces  stay \n", "x" * (LIMIT - 1)])
def test_a_short_prompt_is_left_exactly_as_it_is(prompt: str) -> None:
    clock, first, second = engines()
    assert not is_long(prompt)
    done = optimize(prompt, (first, second), clock)
    assert (done.text, done.method, done.engine, done.seconds, done.warnings) == (prompt, "none", None, 0.0, ())
    assert first.timeouts == second.timeouts == []


def test_the_first_engine_serves() -> None:
    clock, first, second = engines()
    done = optimize(LONG, (first, second), clock)
    assert (done.method, done.engine, done.seconds, done.warnings) == ("llm", "gpt-oss:20b", 1.0, ())
    assert done.text == compress(LONG, 2400)
    assert second.timeouts == []


def test_without_engines_the_compressor_serves() -> None:
    done = optimize(LONG, (), FakeClock())
    assert (done.text, done.method, done.engine, done.warnings) == (compress(LONG), "deterministic", None, ())


@pytest.mark.parametrize("code", sorted(Failure))
def test_after_any_failure_the_next_engine_is_asked_once(code: Failure) -> None:
    clock, first, second = engines(write=lambda prompt: ProviderFailure(code, "Ollama is resting", retry_after=3))
    done = optimize(LONG, (first, second), clock)
    assert (done.method, done.engine) == ("llm", second.model)
    assert done.warnings == ("ollama did not shorten the prompt: Ollama is resting",)
    assert len(first.timeouts) == len(second.timeouts) == 1


def test_when_all_fail_the_compressor_serves_and_says_why() -> None:
    clock, first, second = engines(write=lambda prompt: ProviderFailure(Failure.UNAVAILABLE, "gone"))
    second.write = lambda prompt: prompt
    done = optimize(LONG, (first, second), clock)
    assert (done.text, done.method, done.engine) == (compress(LONG), "deterministic", None)
    assert done.warnings == (
        "ollama did not shorten the prompt: gone",
        "the rewrite of bedrock was not used: it was too long",
    )


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "a blue whale",
        "x" * LIMIT,
        f"{compress(LONG, 2400)} --seed 1",
        f"{compress(LONG, 2400)} http://evil.example",
    ],
)
def test_a_rewrite_that_may_not_be_used_is_not(answer: str) -> None:
    clock, first, _ = engines(write=lambda prompt: answer)
    done = optimize(LONG, (first,), clock)
    assert (done.text, done.method) == (compress(LONG), "deterministic")
    assert len(done.warnings) == 1
    assert "evil" not in done.warnings[0]


def test_wrappings_do_not_count() -> None:
    clock, first, _ = engines(write=lambda prompt: f'```\n"{compress(prompt, 2400)}"\n```'.replace('"', ""))
    assert optimize(LONG, (first,), clock).text == compress(LONG, 2400)


def test_engines_share_the_time() -> None:
    clock, first, second = engines(seconds=100.0)
    began = clock.now()
    done = optimize(LONG, (first, second), clock, 10)
    assert (first.timeouts, second.timeouts) == ([5.0], [5.0])
    assert clock.now() - began <= 10
    assert done.engine == second.model
    assert done.seconds == pytest.approx(6.0)


def test_an_engine_that_fails_at_once_leaves_its_time_to_the_next() -> None:
    clock, first, second = engines(write=lambda prompt: ProviderFailure(Failure.UNAVAILABLE, "gone"), seconds=0.0)
    optimize(LONG, (first, second), clock, 10)
    assert second.timeouts == [10.0]


@given(st.floats(0, 40), st.floats(0, 40), st.floats(0.1, 30))
@examples(60)
def test_the_whole_never_takes_longer_than_it_may(one: float, two: float, seconds: float) -> None:
    clock, first, second = engines(seconds=one)
    second.seconds = two
    began = clock.now()
    done = optimize(LONG, (first, second), clock, seconds)
    assert clock.now() - began <= seconds + 1e-6
    assert len(done.text) < LIMIT


@pytest.mark.parametrize("seconds", [0.0, -3.0])
def test_nobody_is_asked_without_time(seconds: float) -> None:
    clock, first, second = engines()
    done = optimize(LONG, (first, second), clock, seconds)
    assert done.method == "deterministic"
    assert first.timeouts == []
    assert "no time" in done.warnings[0]


def test_states_of_all_engines_are_found_at_once() -> None:
    _, first, second = engines(healthy=False)
    first.asked = second.asked = Barrier(2, timeout=60).wait  # which neither passes alone
    assert engine_states((first, second), 1) == [
        EngineState("ollama", "gpt-oss:20b", configured=True, reachable=False),
        EngineState("bedrock", "openai.gpt-oss-20b-1:0", configured=True, reachable=True),
    ]
    first.asked = second.asked = lambda: None
    assert engine_states((), 1) == [
        EngineState("ollama", None, configured=False, reachable=False),
        EngineState("bedrock", None, configured=False, reachable=False),
    ]
    assert [state.configured for state in engine_states((second,), 1)] == [False, True]

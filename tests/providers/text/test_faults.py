"""The prompt engines with every fault of their services: they end in time, with a valid text or a failure."""

from __future__ import annotations

import pytest

from lambdas.adapters.clock import SystemClock
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.prompts import LIMIT
from lambdas.domain.prompts.compress import compress
from lambdas.providers.text.bedrock_text import BedrockText
from lambdas.providers.text.ollama import Ollama
from lambdas.usecases.prompts.optimize import optimize
from tests.doubles.bedrock import converse
from tests.doubles.bedrock.faults import REFUSALS
from tests.doubles.bedrock.faults import WIRE as BEDROCK_WIRE
from tests.doubles.bedrock.service import FakeBedrock
from tests.doubles.ollama import ANSWERS, STRUCTURE, WRITES, FakeOllama
from tests.doubles.service import WIRE
from tests.support.prompt_corpus import CORPUS

LONG = CORPUS[0].prompt
HELD = ("hang", "drip", "drip_headers")
# For the guard to see, not for the engine.
OLLAMA_GUARDED = WRITES.keys() - {"leaked"}
OLLAMA_FAILS = {
    "busy": "unavailable",
    "internal": "failed",
    "missing": "model_gone",
    "reset": "unavailable",
    "lost_response": "unavailable",
    "reset_body": "unavailable",
    "short_body": "unavailable",
    **dict.fromkeys((*ANSWERS, "cut_off", "leaked"), "bad_answer"),
    **dict.fromkeys(HELD, "timeout"),
}


def test_every_fault_of_ollama_is_tested() -> None:
    assert {*OLLAMA_FAILS, *OLLAMA_GUARDED, *STRUCTURE} == {*FakeOllama.refusals, *FakeOllama.own, *WIRE}


@pytest.mark.parametrize("fault", OLLAMA_FAILS)
def test_ollama_under_every_fault(fault: str, local: Ollama, server: FakeOllama, waits: list[float]) -> None:
    server.inject(fault, times=None, seconds=0.1)
    timeout = 0.5 if fault in HELD else 5
    with pytest.raises(ProviderFailure) as caught:
        local.rewrite(LONG, LIMIT, timeout)
    assert caught.value.code == OLLAMA_FAILS[fault]
    assert caught.value.paid == "no"
    assert 0 < max(waits) <= timeout
    assert len(server.calls) <= 2


CLOUD_FAILS = {
    "throttle": "throttled",
    "unavailable": "unavailable",
    "internal": "failed",
    "access_denied": "not_authorized",
    "expired_token": "not_authorized",
    "gone": "model_gone",
    "validation": "invalid_request",
    "bad_gateway": "unavailable",
    "reset": "unavailable",
    "reset_body": "unavailable",
    "short_body": "unavailable",
    "text_guardrail": "content_policy",
    "text_filtered": "content_policy",
    **dict.fromkeys(HELD, "timeout"),
}
CLOUD_GUARDED = {"text_too_long", "text_injected", "text_off_topic"}


def test_every_fault_of_converse_is_tested() -> None:
    assert BEDROCK_WIRE - {"slow"} <= CLOUD_FAILS.keys() <= REFUSALS.keys() | BEDROCK_WIRE | converse.BODIES.keys()


@pytest.mark.parametrize("fault", [*CLOUD_FAILS, *sorted(converse.BODIES.keys() - CLOUD_FAILS.keys() - CLOUD_GUARDED)])
def test_one_call_of_converse_under_every_fault(
    fault: str, cloud: BedrockText, fake: FakeBedrock, waits: list[float]
) -> None:
    fake.inject(fault, times=None)
    timeout = 0.6 if fault in HELD else 10
    with pytest.raises(ProviderFailure) as caught:
        cloud.rewrite(LONG, LIMIT, timeout)
    if fault == "text_unknown_reason" or fault not in CLOUD_FAILS:
        assert caught.value.code == "bad_answer"
    else:
        assert caught.value.code == CLOUD_FAILS[fault]
    assert len(fake.calls) == 1
    assert 0 < max(waits) <= timeout


@pytest.mark.parametrize("fault", sorted(OLLAMA_GUARDED))
def test_what_ollama_slips_in_never_gets_through(fault: str, local: Ollama, server: FakeOllama) -> None:
    server.inject(fault, times=None)
    done = optimize(LONG, (local,), SystemClock(), 5)
    assert (done.text, done.method, done.engine) == (compress(LONG), "deterministic", None)
    assert len(done.warnings) == 1


@pytest.mark.parametrize("fault", sorted(CLOUD_GUARDED))
def test_what_converse_slips_in_never_gets_through(fault: str, cloud: BedrockText, fake: FakeBedrock) -> None:
    fake.inject(fault, times=None)
    done = optimize(LONG, (cloud,), SystemClock(), 5)
    assert (done.text, done.method, done.engine) == (compress(LONG), "deterministic", None)


@pytest.mark.parametrize("fault", HELD)
def test_bedrock_serves_in_time_while_ollama_holds_on(
    fault: str, local: Ollama, cloud: BedrockText, server: FakeOllama, waits: list[float]
) -> None:
    cloud.rewrite(LONG, LIMIT, 10)  # the first call of a client takes longer
    server.inject(fault, times=None, seconds=0.1)
    waits.clear()
    done = optimize(LONG, (local, cloud), SystemClock(), 1.6)
    assert 0 < max(waits) <= 1.6
    assert (done.method, done.engine) == ("llm", cloud.model)

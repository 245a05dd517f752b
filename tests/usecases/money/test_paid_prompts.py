"""Shortening a prompt by a paid model: on the receipt, in the budget, and not paid twice after a kill."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.api.schemas.receipt import Metadata
from lambdas.domain.jobs.job import COMPLETED, Job
from lambdas.domain.jobs.request import MAX_PROMPT, ImageRequest
from lambdas.domain.limits.budget import Caps, microusd
from lambdas.domain.ports.providers import Rewrite
from lambdas.domain.prompts.brief import instruction
from lambdas.domain.prompts.prices import PRICES, TextPrice, price_of
from lambdas.providers.text import bedrock_text
from lambdas.providers.text.bedrock_text import BedrockText, to_cost
from lambdas.usecases.jobs.run_job import LEASE_SECONDS, run_job
from lambdas.usecases.jobs.submit_job import Caller, submit_job
from lambdas.usecases.prompts import optimize as optimize_prompt
from lambdas.usecases.prompts.optimize import ceiling, guess, optimize
from tests.doubles.bedrock import converse
from tests.doubles.bedrock.faults import FAULTS, REFUSALS, WIRE
from tests.doubles.bedrock.service import FakeBedrock
from tests.support.fakes import FakeProvider, FakeProviders, Fakes
from tests.support.prompt_corpus import CORPUS
from tests.support.real_providers import QuickClock
from tests.support.tripwire import Killed
from tests.usecases.prompts.test_optimize import FakeEngine

LONG = CORPUS[-8].prompt
GPT = "openai.gpt-oss-20b-1:0"


def world(caps: Caps = Caps(), **given: Any) -> tuple[Any, FakeEngine]:  # noqa: B008 - frozen
    deps = Fakes(providers=FakeProviders(bedrock=FakeProvider()), caps=caps)
    engine = FakeEngine(deps.clock, "bedrock", GPT, price=price_of(GPT), cost_usd=0.000243, **given)
    object.__setattr__(deps, "engines", (engine,))
    return deps, engine


def run(deps: Fakes, **asked: Any) -> Job:
    job, _ = submit_job(ImageRequest(LONG, fallback=False, **asked), Caller("acme", "r"), deps)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    return ended


def test_the_whole_costs_the_image_and_the_prompt() -> None:
    deps, _ = world(Caps.of(1.0, 0))
    job = run(deps)
    assert (job.status, job.cost_usd) == (COMPLETED, 0.040243)
    told = Metadata.of(job)
    assert (told.cost_usd, told.prompt_validation.cost_usd) == (0.040243, 0.000243)
    assert ("bedrock", GPT, 0.000243) in deps.meter.costs
    [month] = deps.jobs.books.values()
    assert (month.spent_microusd, month.lost_microusd, month.committed_microusd) == (40_243, 0, 40_243)


def test_a_job_reserves_what_its_prompt_may_cost() -> None:
    deps, engine = world(Caps.of(1.0, 0))
    held = [submit_job(ImageRequest(p, fallback=False), Caller("acme", "r"), deps)[0] for p in (LONG, "a fox")]
    assert [job.reserved_microusd for job in held] == [40_000 + microusd(ceiling(engine, LONG)), 40_000]
    plain = ImageRequest(LONG, fallback=False, optimize_prompt=False)
    assert submit_job(plain, Caller("acme", "r"), deps)[0].reserved_microusd == 40_000


def test_an_answer_of_the_cache_costs_no_prompt_again() -> None:
    deps, _ = world()
    assert run(deps, seed=5, cache=True).cost_usd == 0.040243
    again, _ = submit_job(ImageRequest(LONG, fallback=False, seed=5, cache=True), Caller("acme", "r"), deps)
    assert (again.cached, again.cost_usd) == (True, 0.0)
    assert again.rewriting
    assert again.rewriting.method == "llm"


def test_a_killed_run_does_not_pay_for_the_prompt_twice() -> None:
    deps, engine = world(Caps.of(1.0, 0))
    good = engine.write

    def killed(_prompt: str) -> str:
        raise Killed

    engine.write = killed
    job, _ = submit_job(ImageRequest(LONG, fallback=False), Caller("acme", "r"), deps)
    with pytest.raises(Killed):
        run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    engine.write = good
    deps.clock.sleep(LEASE_SECONDS + 1)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    assert ended.rewriting
    assert (ended.status, ended.rewriting.method, len(engine.timeouts)) == (COMPLETED, "deterministic", 1)
    assert ended.cost_usd == 0.04
    assert any("interrupted" in sentence for sentence in Metadata.of(ended).warnings)
    [month] = deps.jobs.books.values()
    assert (month.spent_microusd, month.lost_microusd) == (40_000, microusd(guess(engine, LONG)))


# Every fault that a text model's double knows, with what its ledger says.
UNCOUNTED = {f"text_{kind}" for kind in ("html", "list", "number", "deep", "truncated", "odd_blocks", "null")}
TEXT_FAULTS = sorted(converse.BODIES.keys() | FAULTS & (REFUSALS.keys() | WIRE))


@pytest.fixture(scope="module")
def fake() -> Any:
    with FakeBedrock() as server:
        yield server


@pytest.fixture
def engine(fake: FakeBedrock, monkeypatch: pytest.MonkeyPatch) -> BedrockText:
    fake.clear()
    fake.calls.clear()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "AKIATEST")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", fake.url)
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    return BedrockText("us-west-2", GPT)


@pytest.mark.parametrize("fault", TEXT_FAULTS)
def test_every_fault_of_a_text_model(fault: str, engine: BedrockText, fake: FakeBedrock) -> None:
    fake.inject(fault)
    done = optimize(LONG, (engine,), QuickClock(), 4.0 if fault in ("hang", "drip", "drip_headers") else 20.0)
    [call] = fake.calls
    if done.lost_usd:
        assert (done.cost_usd, done.lost_usd) == (0.0, guess(engine, LONG))
        assert call.paid or fault == "reset"
        assert fault in REFUSALS.keys() | WIRE | UNCOUNTED
    else:
        assert done.cost_usd == (0.000243 if call.paid else 0.0) == pytest.approx(call.usd)


def test_what_is_estimated_is_said() -> None:
    deps, engine = world()
    engine.cost_usd = 0.0
    assert to_cost({"usage": {"inputTokens": 900, "outputTokens": 600}}, price_of(GPT)) == 0.000243
    usages: list[Any] = [None, [], {"inputTokens": True, "outputTokens": 5}, {"inputTokens": -1, "outputTokens": 5}, {}]
    for usage in usages:
        assert to_cost({"usage": usage}, price_of(GPT)) is None
    assert to_cost([], price_of(GPT)) is None
    engine.rewrite = lambda *_: Rewrite(LONG[:2900], 0.0002, estimated=True)  # type: ignore[method-assign]
    done = optimize(LONG, (engine,), deps.clock)
    assert done.cost_usd == 0.0002
    assert any("estimated" in sentence for sentence in done.warnings)


def test_prices() -> None:
    assert price_of("us.amazon.nova-micro-v1:0") == TextPrice(0.035, 0.14)
    assert price_of("somebody.else-v1:0") == PRICES["amazon.nova-2-lite-v1:0"]
    for model in PRICES:
        price = price_of(model)
        assert price.most(8, 8) >= price.cost(8, 8)
        assert price.estimate(9, 9) == price.cost(3, 3)


def test_the_most_is_that_of_the_call() -> None:
    assert optimize_prompt.MAX_TOKENS == bedrock_text.MAX_TOKENS
    assert len(instruction(3000, "0" * 16)) <= optimize_prompt.BRIEF
    engine = BedrockText("us-west-2", GPT)
    assert ceiling(engine, "x" * MAX_PROMPT) < 0.0025

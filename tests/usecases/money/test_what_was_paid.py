"""Contract 12.13: the charge of a call is reported after any outcome, also for backgrounds and after kills."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lambdas.api.schemas.receipt import Metadata
from lambdas.domain.errors import BudgetExceeded
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.limits import budget
from lambdas.usecases.jobs.run_job import run_job
from lambdas.usecases.jobs.submit_job import Caller, submit_job
from tests.doubles import runware
from tests.doubles.bedrock import faults, service
from tests.gpu_worker.background.products import draw
from tests.support.real_providers import HANGING, UNSURE, Deployment, hurry, open_house
from tests.support.tripwire import Tripwire
from tests.usecases.images.test_product_background import CUTTER, SCENE, submitted
from tests.usecases.jobs.test_crash_matrix import run_to_the_end

FAULTS = sorted(faults.FAULTS - {"huge"})


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    with open_house() as house:
        yield house


@pytest.fixture
def house(running: Deployment) -> Deployment:
    running.clear()
    return running


@pytest.mark.parametrize("call", [1, 2], ids=["cut-out", "scene"])
@pytest.mark.parametrize("fault", FAULTS)
def test_both_paid_calls_of_a_background(
    fault: str, call: int, house: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, 0.6 if fault in HANGING else 10.0)
    deps = house.deps()
    if call == 2:
        house.doubles["bedrock"].inject("slow", seconds=0.0)
    house.doubles["bedrock"].inject(fault)
    job = submitted(draw(0, 320, 240), deps, alpha=False, provider="bedrock", fallback=False)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    calls = house.ledger("bedrock", len(ended.attempts))
    assert [a.model for a in ended.attempts] == [c.model for c in calls]
    assert {a.model for a in ended.attempts} <= {CUTTER, SCENE}
    for attempt, found in zip(ended.attempts, calls, strict=True):
        known = attempt.paid != "unknown"
        assert attempt.cost_usd == (found.usd if known else 0.0), (attempt, found)
        assert known or (found.usd in (0.07, 0) and fault in UNSURE["bedrock"])
    [month] = deps.jobs.books.values()
    unsure = sum(a.paid == "unknown" for a in ended.attempts)
    assert month.spent_microusd == budget.microusd(sum(a.cost_usd for a in ended.attempts))
    assert month.lost_microusd == unsure * 70_000


# The provider, how its call ends, and what it charges then: never the list price.
TOLD: list[tuple[str, str | None, float]] = [
    ("runware_ai", None, 0.0021),
    ("runware_ai", "moderated_image", 0.0021),
    ("runware_ai", "two_images", 0.0042),
    ("runware_ai", "truncated_image", 0.0021),
    ("leonardo_ai", None, 0.0099),
    ("leonardo_ai", "moderated_image", 0.0099),
    ("leonardo_ai", "two_images", 0.0099),
    ("leonardo_ai", "failed_job", 0.0099),
    ("leonardo_ai", "private_address", 0.0099),
    ("leonardo_ai", "truncated_image", 0.0099),
    ("gemini", None, 0.034405),
    ("gemini", "wrong_base64", 0.034405),
    ("gemini", "truncated_image", 0.034405),
    ("gemini", "url_safe_base64", 0.034405),
    ("bedrock", None, 0.04),
    ("bedrock", "two_images", 0.04),
    ("bedrock", "wrong_base64", 0.04),
    ("bedrock", "truncated_json", 0.0),
]
STEPS = ("claim", "intent", "submit", "ticket", "collect", "paint", "raw", "fit", "image", "finish")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("name", "fault", "usd"), TOLD)
def test_after_a_kill_the_same_cost_is_told(
    name: str, fault: str | None, usd: float, step: str, when: str, house: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(runware.PRICES, "runware:101@1", 0.0021)
    monkeypatch.setattr(house.doubles["leonardo_ai"], "usd", 0.0099)
    wire = Tripwire()
    deps = wire.deps(house, (name,))
    if fault:
        house.inject(name, fault, None)
    request = ImageRequest("a fox", provider=name, fallback=False, seed=11, width=256, height=256)
    job, _ = submit_job(request, Caller("acme", "req-1"), deps)
    wire.kill = lambda *at: at == (step, when, 1)
    ended = run_to_the_end(job, deps)
    [attempt] = ended.attempts
    charged = sum(call.usd for call in house.ledger(name))
    if attempt.paid == "unknown":  # recorded as lost: the process died while only it knew, or nobody can tell
        assert attempt.cost_usd == 0
        lost = ("intent", "submit", "ticket", "paint", "raw")
        assert fault == "truncated_json" or step in lost, attempt
    else:
        assert attempt.cost_usd == ended.cost_usd == pytest.approx(charged)
        assert attempt.cost_usd == usd


def test_a_picture_that_can_never_be_fetched_was_charged(house: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch, 10.0)
    deps = house.deps()
    house.inject("runware_ai", "unavailable", "image", times=None)
    request = ImageRequest("a fox", provider="runware_ai", fallback=False, width=256, height=256)
    job, _ = submit_job(request, Caller("acme", "r"), deps)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    told = [(a.outcome, a.error_code, a.cost_usd, a.paid) for a in ended.attempts]
    assert told == [("unknown", "timeout", 0.0038, "yes")]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("internal", ["bedrock may have charged for its failed call: nobody knows"]),
        ("moderated_output", ["bedrock may have charged for its refused call: nobody knows"]),
        ("throttle", []),
        ("wrong_base64", []),
        ("reset", []),  # `unknown` says it
    ],
)
def test_what_may_have_been_charged_is_said(fault: str, said: list[str], house: Deployment) -> None:
    deps = house.deps()
    house.doubles["bedrock"].inject(fault)
    job, _ = submit_job(ImageRequest("a fox", provider="bedrock", fallback=False), Caller("acme", "r"), deps)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    assert [text for text in Metadata.of(ended).warnings if "charged" in text] == said


def test_what_a_paid_call_answered_and_nobody_can_read_is_kept(house: Deployment) -> None:
    for fault, words in (("wrong_base64", b"!!!!"), ("html", b"<html>"), ("two_images", b'"images"')):
        house.clear()
        deps = house.deps()
        house.doubles["bedrock"].inject(fault)
        job, _ = submit_job(ImageRequest("a fox", provider="bedrock", fallback=False), Caller("acme", "r"), deps)
        run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
        assert words in (deps.blobs.get(f"raw/acme/{job.id}/0") or b"")


def test_a_run_of_flagged_pictures_ends_with_the_budget(house: Deployment) -> None:
    deps = house.deps(caps=budget.Caps.of(0.02, 0))
    house.inject("runware_ai", "moderated_image", None, times=None)
    refused = 0
    for _ in range(9):
        try:
            request = ImageRequest("a fox", provider="runware_ai", fallback=False, width=256, height=256)
            job, _ = submit_job(request, Caller("acme", "r"), deps)
        except BudgetExceeded:
            refused += 1
            continue
        ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
        assert ended
        assert ended.error
        assert (ended.error.code, ended.cost_usd) == ("content_policy", 0.0038)
    assert (refused, len(house.ledger("runware_ai"))) == (4, 5)


def test_the_prices_of_the_doubles_are_not_these() -> None:
    assert 0.0021 not in runware.PRICES.values()
    assert service.PRICES["stability.stable-image-core-v1:1"] == 0.04

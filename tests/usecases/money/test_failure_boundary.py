"""Unexpected errors around a provider's answer end the attempt with the right outcome, never the run."""

from __future__ import annotations

import base64
import importlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from lambdas.adapters.images.compositing import PillowCompositor
from lambdas.domain import failure_boundary
from lambdas.domain.errors import InvalidRequest, Unavailable
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.job import COMPLETED, FAILED, Job
from lambdas.domain.jobs.request import GeneratedImage, ImageRequest
from lambdas.egress import retry_after
from lambdas.providers._client import http
from lambdas.usecases.images import ask_provider
from lambdas.usecases.images.store_image import raw_key
from lambdas.usecases.jobs.run_job import run_job
from lambdas.usecases.jobs.submit_job import Caller, submit_job
from tests.gpu_worker.background.products import draw
from tests.support.fakes import FakePictures, FakeProvider, FakeProviders, Fakes
from tests.support.real_providers import Deployment, hurry, open_house
from tests.support.receipts import check_books, check_end, check_receipt
from tests.usecases.images.test_product_background import CUTTER, SCENE, WORKER, submitted
from tests.usecases.images.test_tickets import office

SECRET = "the prompt, an answer, a key"
# A palette picture without its palette: a codec may fail on it by an assertion.
NO_PALETTE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAIAQMAAAD+wSzIAAAAA1BFVEUAAACAdWwSAAAAAXRSTlMAQObYZgAAAAtJREFUeJxjYEAFAAAQAAE5vY9lAAAA"
    "AElFTkSuQmCC"
)


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    with open_house() as house:
        yield house


@pytest.fixture
def house(running: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    running.clear()
    hurry(monkeypatch, 10.0)
    return running


def breaks(*_: Any, **__: Any) -> Any:
    raise OverflowError(SECRET)


def made(house: Deployment, name: str, *others: str) -> tuple[Job, Any]:
    deps = house.deps()
    request = ImageRequest("a fox", provider=name, fallback=others or False, width=256, height=256, seed=7)
    job, _ = submit_job(request, Caller("acme", "r"), deps)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    return ended, deps


@pytest.mark.parametrize("name", ["bedrock", "comfyui", "gemini", "leonardo_ai", "runware_ai", "sagemaker"])
def test_a_module_that_breaks_over_an_answer(
    name: str, house: Deployment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module = importlib.import_module(f"lambdas.providers.{name}")
    monkeypatch.setattr(module, "to_file" if name == "comfyui" else "to_image", breaks)
    other = "leonardo_ai" if name != "leonardo_ai" else "runware_ai"
    job, deps = made(house, name, other)
    pairs = check_receipt(job, house)
    check_books(job, pairs, deps)
    check_end(job, deps)
    assert job.status == COMPLETED
    first = job.attempts[0]
    assert first.error_code in ("outcome_unknown", "bad_answer")
    free = name in ("comfyui", "sagemaker")
    assert first.paid == ("no" if free else "yes" if name == "leonardo_ai" else "unknown")
    assert first.cost_usd == (0.0147 if name == "leonardo_ai" else 0.0)
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "in breaks" in caplog.text  # the trace
    assert "OverflowError" in caplog.text
    assert SECRET not in caplog.text
    assert 1 <= len(told) <= ask_provider.MAX_BROKEN


@pytest.mark.parametrize("name", ["bedrock", "gemini", "leonardo_ai", "runware_ai"])
def test_a_module_that_breaks_before_anything_is_sent(
    name: str, house: Deployment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(importlib.import_module(f"lambdas.providers.{name}"), "to_payload", breaks)
    job, _ = made(house, name, "comfyui")
    assert job.status == COMPLETED
    assert house.ledger(name) == []
    first = job.attempts[0]
    assert (first.outcome, first.error_code, first.cost_usd, first.paid) == ("failed", "failed", 0.0, "no")
    assert "in breaks" in caplog.text
    assert SECRET not in caplog.text


def test_a_ticket_whose_acknowledgement_cannot_be_read_is_asked_after(
    house: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lambdas.providers import runware_ai

    monkeypatch.setattr(runware_ai, "to_ticket", breaks)
    job, _ = made(house, "runware_ai")
    assert (job.status, job.cost_usd) == (COMPLETED, 0.0038)
    assert len(house.ledger("runware_ai")) == 1


HOSTILE = {"retry-after": "Wed, 21 Oct 99999999999999999999 07:28:00 GMT"}


@pytest.mark.parametrize("name", ["comfyui", "gemini", "leonardo_ai", "runware_ai"])
@pytest.mark.parametrize(("status", "code", "paid"), [(429, "throttled", "no"), (503, "unavailable", "no")])
def test_a_refusal_that_cannot_be_read_is_what_its_status_says(
    name: str, status: int, code: str, paid: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module = importlib.import_module(f"lambdas.providers.{name}")
    answer = http.Answer(status, HOSTILE, b"{}", paid=True)
    more: tuple[Any, ...] = ({}, "key") if name == "runware_ai" else ()
    failure = http.judged(module.to_failure, answer, module.WHO, *more)
    assert (failure.code, failure.paid) == (code, paid)
    monkeypatch.setattr(retry_after, "seconds", breaks)  # as a parser that does not take every text
    failure = http.judged(module.to_failure, answer, module.WHO, *more)
    assert (failure.code, failure.paid) == (code, paid)
    assert SECRET not in caplog.text


def test_a_look_that_breaks_is_made_again() -> None:
    deps, at = office(collect_fails=[OverflowError(SECRET), KeyError("x")])
    job, _ = submit_job(ImageRequest("x"), Caller("acme", "r"), deps)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    assert (ended.status, ended.cost_usd, len(at.orders)) == (COMPLETED, 0.0123, 1)


def test_looks_that_break_again_and_again_end() -> None:
    deps, at = office(collect_fails=[OverflowError(SECRET)] * 99)
    job, _ = submit_job(ImageRequest("x", fallback=False), Caller("acme", "r"), deps)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    assert (ended.status, len(at.asked)) == (FAILED, ask_provider.MAX_BROKEN)
    [attempt] = ended.attempts
    assert (attempt.outcome, attempt.error_code) == ("unknown", "outcome_unknown")
    assert (attempt.cost_usd, attempt.paid) == (0.0123, "yes")  # it was told when the work was accepted


def test_any_provider_that_breaks_may_have_been_paid() -> None:
    deps = Fakes(providers=FakeProviders(bedrock=FakeProvider([ZeroDivisionError(SECRET)])))
    job, _ = submit_job(ImageRequest("x", fallback=False), Caller("acme", "r"), deps)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    assert ended.error
    assert ended.error.code == "outcome_unknown"
    assert SECRET not in str(ended)
    assert [month.lost_microusd for month in deps.jobs.books.values()] == [40_000]


class Codec(FakePictures):
    def fit(self, *_: Any) -> Any:
        raise AssertionError(SECRET)


def test_a_free_model_whose_provider_charges_is_paid_for() -> None:
    charging = FakeProvider([lambda order: GeneratedImage(b"no picture", cost_usd=0.01)])
    deps = Fakes(providers=FakeProviders(sagemaker=charging), pictures=Codec())
    job, _ = submit_job(ImageRequest("x", fallback=False), Caller("acme", "r"), deps)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    assert [(a.error_code, a.paid, a.cost_usd) for a in ended.attempts] == [("bad_answer", "yes", 0.01)]
    assert deps.blobs.get(raw_key(ended)) == b"no picture"


def test_a_codec_that_breaks_is_a_damaged_picture(caplog: pytest.LogCaptureFixture) -> None:
    deps = Fakes(providers=FakeProviders(bedrock=FakeProvider()), pictures=Codec())
    job, _ = submit_job(ImageRequest("x", fallback=False), Caller("acme", "r"), deps)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    assert [(a.outcome, a.error_code, a.cost_usd) for a in ended.attempts] == [("failed", "bad_answer", 0.04)]
    assert [month.spent_microusd for month in deps.jobs.books.values()] == [40_000]
    assert SECRET not in caplog.text


@pytest.mark.parametrize("which", ["cut-out", "scene"])
def test_a_background_whose_pictures_break_the_codec(
    which: str, house: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PillowCompositor, "check_cutout" if which == "cut-out" else "compose", breaks)
    deps = house.deps()
    job = submitted(draw(0, 320, 240), deps, alpha=False, provider="bedrock", fallback=("sagemaker",))
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    assert ended.status == COMPLETED
    paid = [(CUTTER, "success"), (SCENE, "failed")] if which == "scene" else [(CUTTER, "failed")]
    assert [(a.model, a.outcome) for a in ended.attempts] == [*paid, (WORKER, "success")]
    assert ended.cost_usd == 0.07 * len(paid)


def test_a_palette_without_its_palette_as_a_scene(house: Deployment) -> None:
    deps = house.deps()
    painted = GeneratedImage(NO_PALETTE)
    bedrock: Any = FakeProvider([lambda order: real.paint(order, 9.0), lambda _: painted])
    real: Any = house.registry.get("bedrock")
    deps = house.deps(providers=FakeProviders(bedrock=bedrock))
    job = submitted(draw(0, 320, 240), deps, alpha=False, provider="bedrock", fallback=False)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    assert (ended.status, ended.attempts[-1].error_code, ended.cost_usd) == (FAILED, "bad_answer", 0.14)


def test_what_cannot_be_staged_costs_nothing_and_is_on_the_receipt(
    house: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PillowCompositor, "stage", breaks)
    deps = house.deps()
    job = submitted(draw(1, 320, 240), deps, alpha=True, provider="bedrock", fallback=("sagemaker",))
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    assert (ended.status, ended.cost_usd) == (COMPLETED, 0.0)
    first = ended.attempts[0]
    assert (first.model, first.error_code, first.paid) == (SCENE, "failed", "no")
    assert house.ledger("bedrock") == []


def test_the_services_own_errors_pass() -> None:
    for error in (Unavailable("x"), InvalidRequest("x"), ProviderFailure(Failure.FAILED, "x")):
        with pytest.raises(type(error)) as caught, failure_boundary.wall(Failure.BAD_ANSWER, "x", paid="no"):
            raise error
        assert caught.value is error
    with pytest.raises(KeyboardInterrupt), failure_boundary.wall(Failure.BAD_ANSWER, "x", paid="no"):
        raise KeyboardInterrupt


def test_what_fails_after_the_picture_was_charged_says_so() -> None:
    for error in (ProviderFailure(Failure.UNAVAILABLE, "x"), OSError(SECRET)):
        with pytest.raises(ProviderFailure) as caught, failure_boundary.charged(0.01):
            raise error
        assert (caught.value.paid, caught.value.made, caught.value.cost_usd) == ("unknown", True, 0.01)

"""Contract 5.12: with every fault of every provider, the receipt and the providers' ledgers agree call by call."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from lambdas.domain import catalogue
from lambdas.domain.errors import NoneAvailable
from lambdas.domain.jobs.job import COMPLETED, FAILED, Job
from lambdas.domain.jobs.request import GeneratedImage, ImageRequest
from lambdas.usecases.deps import Deps
from lambdas.usecases.images import ask_provider, attempt
from lambdas.usecases.jobs.run_job import run_job
from lambdas.usecases.jobs.submit_job import Caller, submit_job
from tests.api.client import Client
from tests.support.fakes import FakeHealth
from tests.support.real_providers import (
    CASES,
    CODES,
    HANGING,
    PROVIDERS,
    Case,
    Deployment,
    hurry,
    may_be_unsure,
    open_house,
)
from tests.support.receipts import check_books, check_end, check_receipt

FINAL = ("content_policy", "invalid_request")


@pytest.fixture(scope="module")
def running() -> Iterator[Deployment]:
    with open_house() as house:
        yield house


@pytest.fixture
def house(running: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    running.clear()
    hurry(monkeypatch, 10.0)
    return running


def made(deps: Deps, request: ImageRequest) -> Job:
    job, _ = submit_job(request, Caller("acme", "req-1"), deps)
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended and ended == deps.jobs.get(job.tenant, job.id)
    return ended


def asked(name: str, **more: object) -> ImageRequest:
    return ImageRequest("a red fox", provider=name, width=256, height=256, seed=7, **more)  # type: ignore[arg-type]


def title(case: Case) -> str:
    return "-".join(filter(None, case))


@pytest.mark.parametrize("case", CASES, ids=title)
def test_one_fault_and_nobody_else_to_ask(case: Case, house: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    name, fault, stage = case
    if fault in HANGING:
        hurry(monkeypatch)
    deps = house.deps(**({"providers": house.behind_aws()} if fault.startswith("aws_") else {}))
    house.inject(name, fault, stage)
    job = made(deps, asked(name, fallback=False))
    pairs = check_receipt(job, house)
    check_books(job, pairs, deps)
    check_end(job, deps)
    assert may_be_unsure(case) or all(a.paid != "unknown" for a, _ in pairs), pairs
    assert {a.provider for a, _ in pairs} == {name}
    assert stage or job.attempts[0].error_code in CODES[fault], job.attempts
    if job.status == FAILED:
        assert job.error
        assert (job.error.code == "content_policy") == (job.attempts[-1].outcome == "refused")


# One of each kind goes on and on while two others are well: whether it is cured does not depend on how it is worded.
LASTING = [
    (name, fault, stage)
    for name, fault, stage in CASES
    if stage is None and fault not in ("hang", "drip_headers", "huge_image", "huge") and not fault.startswith("aws_")
]


@pytest.mark.parametrize("case", LASTING, ids=title)
def test_a_lasting_fault_is_cured_by_another_provider(
    case: Case, house: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, fault, stage = case
    if fault in HANGING:
        hurry(monkeypatch)
    others = [other for other in ("runware_ai", "leonardo_ai", "comfyui") if other != name][:2]
    deps = house.deps()
    house.inject(name, fault, stage, times=None)
    job = made(deps, asked(name, fallback=tuple(others)))
    pairs = check_receipt(job, house)
    check_books(job, pairs, deps)
    check_end(job, deps)
    first = [a for a, _ in pairs if a.provider == name]
    assert len(first) == 1  # while others are left, nobody is waited for
    assert job.attempts[0] == first[0]
    if first[0].error_code in FINAL:
        assert (job.status, len(job.attempts)) == (FAILED, 1)
        assert job.error
        assert job.error.code == first[0].error_code
    else:
        assert job.status == COMPLETED, job.error
        assert [d.name for d in job.dropped] == ([] if first[0].outcome == "success" else ["provider"])


@pytest.mark.parametrize("seed", range(30))
def test_any_faults_in_any_order(seed: int, house: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few jobs in a row on three providers that share their health, each under faults of its own."""
    die = random.Random(seed)
    monkeypatch.setattr("lambdas.usecases.jobs.submit_job.random", SimpleNamespace(Random=lambda: die))
    hurry(monkeypatch)
    three = die.sample(PROVIDERS, 3)
    cases = [c for c in CASES if c[0] in three and not c[1].startswith("huge")]
    cases = [c for c in cases if c[1] not in HANGING or die.random() < 0.2]
    deps = house.deps(health=FakeHealth(), providers=Some(house, frozenset(three)))
    for _ in range(4):
        house.clear()
        for name, fault, stage in die.sample(cases, die.randint(0, 6)):
            house.inject(name, fault, stage, times=die.choice([1, 1, 2, 3]))
        request = replace(
            asked("auto"),
            n=die.randint(1, 3),
            format=die.choice(["png", "jpeg", "webp"]),
            strategy=die.choice(["balanced", "cheapest", "quality", "fastest"]),
            seed=die.randint(1, 2_000_000_000),
        )
        try:
            job = made(deps, request)
        except NoneAvailable as resting:
            assert resting.retry_after
        else:
            check_receipt(job, house)
            check_end(job, deps)
        deps.clock.time += die.choice([0, 5, 20, 60, 300])


class Some:
    """The port Providers with no others than these."""

    def __init__(self, house: Deployment, names: frozenset[str]) -> None:
        self._house = house
        self._names = names
        self.get = house.registry.get

    def configured(self) -> frozenset[str]:
        return self._names


def test_every_fault_is_known() -> None:
    assert {fault for _, fault, _ in CASES} == CODES.keys()


# What ends a job at each. ComfyUI has no policy: there it is a request that is not accepted.
REFUSALS = {
    "bedrock": "moderated_prompt",
    "comfyui": "too_big",
    "gemini": "moderated",
    "leonardo_ai": "moderated",
    "runware_ai": "moderated",
    "sagemaker": "moderated",
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_images_made_before_a_failure_are_kept(name: str, house: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = count(1)

    def ask(*args: Any) -> GeneratedImage:
        if next(numbers) == 2:
            house.inject(name, REFUSALS[name], None)
        return ask_provider.ask(*args)

    monkeypatch.setattr(attempt, "ask", ask)
    deps = house.deps()
    job = made(deps, asked(name, n=3))
    check_receipt(job, house)
    check_end(job, deps)
    assert (job.status, len(job.images), len(job.attempts)) == (FAILED, 1, 2)  # nobody is asked after a refusal
    assert job.cost_usd == job.attempts[0].cost_usd
    client = Client(deps)
    told = client("GET", f"/unified/jobs/{job.id}").json()
    assert told["status"] == "failed"
    assert [image["id"] for image in told["images"]] == [job.images[0].id]
    assert client("GET", told["images"][0]["local_url"]).status in (200, 307)


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_seed_of_an_image_is_the_one_its_provider_was_sent(name: str, house: Deployment) -> None:
    deps = house.deps()
    job = made(deps, replace(asked(name, fallback=False, n=3), seed=2**31 - 20))
    assert [image.seed for image in job.images] == [call.seed for call in house.ledger(name)]
    card = catalogue.card(job.model)
    assert card
    assert all(card.seed_min <= image.seed <= card.seed_max for image in job.images)


def test_a_generation_timeout_ends_a_job_whose_ticket_is_never_done(house: Deployment) -> None:
    deps = replace(house.deps(), generation_timeout=5.0)
    house.doubles["runware_ai"].seconds = 1e6
    began = deps.clock.now()
    try:
        job = made(deps, asked("runware_ai", n=2, fallback=False))
    finally:
        house.doubles["runware_ai"].seconds = 0.0
    assert deps.clock.now() - began < 8
    check_receipt(job, house)
    check_end(job, deps)
    assert job.error
    assert job.error.code == "generation_timeout"
    assert (job.attempts[-1].outcome, job.attempts[-1].error_code) == ("unknown", "timeout")
    assert job.attempts[-1].ticket  # so that it can be asked after by hand


def test_work_that_is_done_while_a_long_wait_is_asked_for_is_not_lost(house: Deployment) -> None:
    deps = house.deps()
    house.inject("comfyui", "throttle", "ask")  # 7 s, which is longer than there is time
    job = made(deps, asked("comfyui", fallback=False))
    assert job.status == COMPLETED

"""A tenant's budget through the use cases: reserved on acceptance, settled on the end, else released."""

from __future__ import annotations

import pytest

from lambdas.domain.errors import BudgetExceeded
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.job import COMPLETED, FAILED, QUEUED, Job
from lambdas.domain.jobs.request import Draft, ImageRequest
from lambdas.domain.limits.budget import Caps, month
from lambdas.usecases.jobs.accept import accept
from lambdas.usecases.jobs.handle_message import fail_dead_lettered_job
from lambdas.usecases.jobs.run_job import run_job
from lambdas.usecases.jobs.submit_batch import submit_batch
from lambdas.usecases.jobs.submit_job import Caller, submit_job
from tests.support.budget_model import Books
from tests.support.fakes import FakeProvider, FakeProviders, Fakes

CALLER = Caller("acme", "req")
CORE = "stability.stable-image-core-v1:1"


def bedrock(*script: object, caps: Caps) -> Fakes:
    return Fakes(providers=FakeProviders(bedrock=FakeProvider(list(script))), caps=caps)  # type: ignore[arg-type]


def submitted(deps: Fakes, key: str | None = None, **request: object) -> Job:
    caller = Caller("acme", "req", key, "f")
    draft = Draft(ImageRequest("a fox", fallback=False, **request))  # type: ignore[arg-type]
    job, _ = accept(draft, caller, deps)
    return job


def run(deps: Fakes, job: Job) -> Job:
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    return ended


def books(deps: Fakes) -> Books:
    return deps.jobs.books["acme", month(deps.clock.now())]


def test_the_cap_admits_exactly_what_fits_and_frees_what_failed() -> None:
    deps = bedrock(caps=Caps.of(0.08, 0))
    first, second = submitted(deps), submitted(deps)
    for _ in range(2):
        with pytest.raises(BudgetExceeded):
            submitted(deps)
    assert len(deps.jobs.rows) == 2
    assert all(message["watchdog"] for message in deps.queue.sent)
    assert run(deps, first).status == COMPLETED
    assert books(deps).committed_microusd == 80_000
    assert deps.jobs.cancel("acme", second.id, deps.clock.now())
    assert run(deps, submitted(deps)).status == COMPLETED
    assert (books(deps).spent_microusd, books(deps).committed_microusd, books(deps).images) == (80_000, 80_000, 2)


def test_a_fallback_was_reserved_for() -> None:
    cheap = FakeProvider([ProviderFailure(Failure.OUT_OF_CREDIT, "pay")])  # 0.0038, where bedrock takes 0.04
    deps = Fakes(providers=FakeProviders(runware_ai=cheap, bedrock=FakeProvider()), caps=Caps.of(0.079, 0))
    first, _ = submit_job(ImageRequest("a fox", provider="runware_ai", fallback=("bedrock",)), CALLER, deps)
    with pytest.raises(BudgetExceeded):
        submitted(deps, provider="bedrock")
    assert run(deps, first).model == CORE
    assert books(deps).committed_microusd == books(deps).spent_microusd == 40_000


def test_a_replay_reserves_nothing() -> None:
    deps = bedrock(caps=Caps(images=1))
    first = submitted(deps, key="k")
    assert submitted(deps, key="k") == first
    assert books(deps).committed_images == 1


def test_an_answer_of_the_cache_is_free() -> None:
    deps = bedrock(caps=Caps(images=1))
    run(deps, submitted(deps, cache=True, seed=5))
    assert submitted(deps, cache=True, seed=5).cached
    assert books(deps).images == books(deps).committed_images == 1


def test_failure_gives_back_and_a_call_of_unknown_end_is_written_down() -> None:
    lost = ProviderFailure(Failure.OUTCOME_UNKNOWN, "gone", paid="unknown")
    deps = bedrock(lost, caps=Caps(images=1))
    assert run(deps, submitted(deps)).status == FAILED
    assert (books(deps).committed_images, books(deps).spent_microusd, books(deps).lost_microusd) == (0, 0, 40_000)
    given_up = submitted(deps)
    assert fail_dead_lettered_job("acme", given_up.id, deps)
    assert books(deps).committed_microusd == 0


def test_items_of_a_batch_reserve_each_on_their_own() -> None:
    deps = bedrock(caps=Caps(images=3))
    items = [Draft(ImageRequest(f"fox {i}", fallback=False, n=n)) for i, n in enumerate((1, 1, 8, 1))]
    _, jobs, _ = submit_batch(items, CALLER, deps)
    assert [job.status for job in jobs] == [QUEUED, QUEUED, FAILED, QUEUED]
    assert jobs[2].error
    assert jobs[2].error.code == "budget_exceeded"
    run_now = [m["job_id"] for m in deps.queue.sent if not m["watchdog"]]
    assert sorted(run_now) == sorted(job.id for job in jobs if not job.final)
    assert books(deps).committed_images == 3


def test_what_a_provider_charges_is_metered() -> None:
    deps = bedrock(ProviderFailure(Failure.THROTTLED, "busy"), caps=Caps())
    run(deps, submitted(deps))
    assert deps.meter.costs == [("bedrock", CORE, 0.04)]

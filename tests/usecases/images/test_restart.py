"""A queued job whose only provider restarts: retried for a minute, and nothing is paid twice."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lambdas.domain.failures import Failure, Paid, ProviderFailure
from lambdas.domain.jobs.job import COMPLETED, FAILED, QUEUED, Job
from lambdas.domain.jobs.request import GeneratedImage, ImageRequest, ImageTask
from lambdas.domain.routing.health import Health
from lambdas.usecases.images.make_image import RESTART_SECONDS
from lambdas.usecases.jobs.handle_message import handle_job_message
from lambdas.usecases.jobs.submit_job import Caller, submit_job
from tests.support.fakes import FakeProvider, FakeProviders, Fakes

ANSWER = GeneratedImage(b"1024x1024:x")


class Restarting(FakeProvider):
    """Nobody is there until `back` (Unix seconds); then it paints."""

    def __init__(self, deps: list[Fakes], back: float, code: Failure = Failure.UNAVAILABLE, paid: Paid = "no") -> None:
        super().__init__()
        self.deps, self.back, self.code, self.said = deps, back, code, paid

    def paint(self, order: ImageTask, timeout: float) -> GeneratedImage:
        self.orders.append(order)
        if self.deps[0].clock.now() < self.back:
            raise ProviderFailure(self.code, "it could not be reached", paid=self.said)
        return ANSWER


def house(back: float, **how: Any) -> tuple[Fakes, Restarting]:
    there: list[Fakes] = []
    provider = Restarting(there, back, **how)
    deps = Fakes(providers=FakeProviders(bedrock=provider))
    there.append(deps)
    provider.back += deps.clock.now()
    return deps, provider


def accepted(deps: Fakes, **request: Any) -> Job:
    job, _ = submit_job(
        ImageRequest("a red fox", provider="bedrock", fallback=False, **request), Caller("acme", "r"), deps
    )
    deps.queue.sent.clear()
    return job


def at_work(deps: Fakes, job: Job, queued: bool = True) -> Job:
    """The job once its messages have been handled, each when it comes, until there is none."""
    sent: list[dict[str, Any]] = deps.queue.sent
    handle_job_message("acme", job.id, deps.clock.now() + 800, deps, watchdog=False, queued=queued)
    while sent:
        deps.clock.sleep(sent.pop(0)["delay"])
        handle_job_message("acme", job.id, deps.clock.now() + 800, deps, watchdog=False)
    found = deps.jobs.get("acme", job.id)
    assert found
    return found


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("luck", range(10))
@pytest.mark.parametrize("back", [3.0, 12.0, 40.0])
def test_it_ends_well_once_the_provider_is_back(back: float, n: int, luck: int) -> None:
    random.seed(luck)  # of the pauses
    deps, _ = house(back)
    job = at_work(deps, accepted(deps, n=n))
    assert (job.status, len(job.images)) == (COMPLETED, n), job.error
    assert {a.error_code for a in job.attempts if a.outcome == "failed"} == {"unavailable"}
    assert job.cost_usd == pytest.approx(0.04 * n)


def test_it_does_not_wait_for_ever() -> None:
    deps, provider = house(back=1e9)
    job = accepted(deps)
    ended = at_work(deps, job)
    assert ended.error
    assert (ended.status, ended.error.code, ended.cost_usd) == (FAILED, "providers_failed", 0)
    assert RESTART_SECONDS / 2 <= deps.clock.now() - job.created_at <= RESTART_SECONDS + 5
    assert len(provider.orders) <= 12


def test_one_accepted_before_its_provider_rests_is_made_when_it_may_be_asked_again() -> None:
    deps, _ = house(back=0.0)
    job = accepted(deps)
    now = deps.clock.now()
    deps.health.rows["bedrock"] = Health(streak=4, cooldown_until=now + 15, updated=now)
    ended = at_work(deps, job)
    assert (ended.status, len(ended.attempts)) == (COMPLETED, 1)


def test_a_client_that_waits_is_told_at_once() -> None:
    deps, provider = house(back=1e9)
    ended = at_work(deps, accepted(deps), queued=False)
    assert (ended.status, len(provider.orders)) == (FAILED, 3)


@pytest.mark.parametrize(("code", "paid"), [("unavailable", "unknown"), ("failed", "no"), ("bad_answer", "unknown")])
def test_what_may_be_paid_or_is_no_restart_is_not_tried_again(code: str, paid: str) -> None:
    deps, provider = house(back=1e9, code=code, paid=paid)
    ended = at_work(deps, accepted(deps))
    assert (ended.status, ended.released) == (FAILED, 0)
    assert len(provider.orders) <= 3


def test_a_job_with_an_image_is_not_given_back() -> None:
    deps, provider = house(back=0.0)

    def then_gone(order: ImageTask, timeout: float) -> GeneratedImage:
        provider.orders.append(order)
        if len(provider.orders) == 1:
            return ANSWER
        raise ProviderFailure(Failure.UNAVAILABLE, "it could not be reached")

    provider.paint = then_gone  # type: ignore[method-assign]
    ended = at_work(deps, accepted(deps, n=2))
    assert (ended.status, ended.released, len(ended.images), len(provider.orders)) == (FAILED, 0, 1, 4)


def test_a_job_that_went_back_is_queued_until_then() -> None:
    deps, _ = house(back=1e9)
    job = accepted(deps)
    handle_job_message("acme", job.id, deps.clock.now() + 800, deps, watchdog=False)
    waiting = deps.jobs.get("acme", job.id)
    assert waiting
    assert (waiting.status, waiting.released, len(waiting.attempts)) == (QUEUED, 1, 3)

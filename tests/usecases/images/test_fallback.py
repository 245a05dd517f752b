"""Which models are asked for an image after failures, and when no other one is asked."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.job import COMPLETED, FAILED, Job
from lambdas.domain.jobs.request import GeneratedImage, ImageRequest
from lambdas.domain.routing.fallback import MAX_LOSSES
from lambdas.domain.routing.health import Health
from lambdas.usecases.jobs.run_job import LEASE_SECONDS, run_job
from lambdas.usecases.jobs.submit_job import Caller, submit_job
from tests.support.fakes import FakeProvider, FakeProviders, Fakes

ORDER = ("bedrock", "gemini", "leonardo_ai", "runware_ai")


def house(**scripts: list[Any]) -> Fakes:
    return Fakes(providers=FakeProviders(**{name: FakeProvider(scripts.get(name, [])) for name in ORDER}))


def submitted(deps: Fakes, **request: Any) -> Job:
    wish = ImageRequest("a red fox", provider=ORDER[0], fallback=ORDER[1:], **request)
    return submit_job(wish, Caller("acme", "r"), deps)[0]


def run(deps: Fakes, job: Job) -> Job:
    ended = run_job(job.tenant, job.id, deps.clock.now() + 800, deps)
    assert ended
    return ended


def lost(_order: object) -> GeneratedImage:
    raise ProviderFailure(Failure.TIMEOUT, "no answer came", paid="unknown")


def spoilt(_order: object) -> GeneratedImage:
    return GeneratedImage(b"no picture")


@pytest.mark.parametrize("in_vain", [lost, spoilt])
def test_calls_that_may_be_paid_in_vain_are_limited(in_vain: Any) -> None:
    deps = house(**{name: [in_vain] for name in ORDER})
    ended = run(deps, submitted(deps))
    assert (ended.status, [a.provider for a in ended.attempts]) == (FAILED, list(ORDER[: MAX_LOSSES + 1]))


def test_each_image_has_losses_of_its_own() -> None:
    deps = house(bedrock=[lost, lost], gemini=[lost, lost])
    ended = run(deps, submitted(deps, n=2))
    assert (ended.status, len(ended.images)) == (COMPLETED, 2)
    assert [a.provider for a in ended.attempts] == [*ORDER[:3], *ORDER[:3]]


def test_a_model_is_waited_for_where_all_others_rest() -> None:
    deps = house(bedrock=[ProviderFailure(Failure.THROTTLED, "busy", retry_after=7)])
    job = submitted(deps)
    now = deps.clock.now()
    for name in ORDER[1:]:
        deps.health.rows[name] = Health(streak=4, cooldown_until=now + 600, updated=now)
    ended = run(deps, job)
    assert (ended.status, [a.provider for a in ended.attempts]) == (COMPLETED, ["bedrock", "bedrock"])
    assert deps.clock.slept == [7]


def test_a_busy_model_is_not_waited_for_where_others_are_left() -> None:
    deps = house(bedrock=[ProviderFailure(Failure.THROTTLED, "busy", retry_after=7)])
    ended = run(deps, submitted(deps))
    assert (ended.status, [a.provider for a in ended.attempts]) == (COMPLETED, ["bedrock", "gemini"])
    assert deps.clock.slept == []


def test_a_refusal_is_final() -> None:
    deps = house(bedrock=[ProviderFailure(Failure.CONTENT_POLICY, "no")])
    ended = run(deps, submitted(deps))
    assert (ended.status, [a.outcome for a in ended.attempts]) == (FAILED, ["refused"])


def test_a_call_that_may_be_paid_is_not_made_again_by_the_next_run() -> None:
    def dies(_order: object) -> GeneratedImage:
        raise KeyboardInterrupt

    paid = FakeProvider([ProviderFailure(Failure.UNAVAILABLE, "a gateway gave up", paid="unknown")])
    deps = Fakes(providers=FakeProviders(bedrock=paid, sagemaker=FakeProvider([dies])))
    wish = ImageRequest("a red fox", provider="bedrock", fallback=("sagemaker",))
    job, _ = submit_job(wish, Caller("acme", "r"), deps)
    with pytest.raises(KeyboardInterrupt):
        run(deps, job)
    deps.clock.sleep(LEASE_SECONDS + 1)
    ended = run(deps, job)
    assert [(a.provider, a.outcome) for a in ended.attempts] == [
        ("bedrock", "unknown"),
        ("sagemaker", "unknown"),
        ("sagemaker", "success"),
    ]
    assert len(paid.orders) == 1

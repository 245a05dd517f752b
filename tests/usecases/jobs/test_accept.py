"""Accepting: a repeated key gives the stored answer, and a refused request leaves nothing behind."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from lambdas.adapters.images.pictures import PillowPictures
from lambdas.domain.errors import (
    BudgetExceeded,
    IdempotencyMismatch,
    InvalidRequest,
    MalformedBody,
    NoneAvailable,
    Overloaded,
    ProviderUnconfigured,
    RetiredModel,
    ServiceError,
    TooLarge,
    Unavailable,
    UnknownModel,
    UnsupportedMediaType,
)
from lambdas.domain.failures import Failure
from lambdas.domain.jobs.job import COMPLETED, FAILED, QUEUED, Batch, Idempotency, Job
from lambdas.domain.jobs.request import BACKGROUND, Draft, ImageRequest
from lambdas.domain.limits.budget import Caps, Committed
from lambdas.usecases.deps import Deps
from lambdas.usecases.jobs.accept import accept
from lambdas.usecases.jobs.run_job import run_job
from lambdas.usecases.jobs.submit_batch import Item, Refused, submit_batch
from lambdas.usecases.jobs.submit_job import Caller
from tests.gpu_worker.background.products import draw
from tests.support.fake_events import FakeUrls
from tests.support.fakes import FakeBacklog, FakeJobs, FakeProvider, FakeProviders, Fakes

KEYED = Caller("acme", "r", "key", "print")
OTHER = Caller("acme", "r", "key", "another print")
ANYBODY = Caller("acme", "r")
URL = "https://a.example/hook"
SD35 = "stability.sd3-5-large-v1:0"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


PICTURE = encoded(b"64x64:ref")
GOOD = Draft(ImageRequest("a fox", model=SD35, webhook_url=URL, project_id="new"), PICTURE, "reference_image")


def house(**changes: Any) -> Fakes:
    return Fakes(**({"providers": FakeProviders(bedrock=FakeProvider())} | changes))


class Untouched:
    """A port that nobody may use."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was used")


class Records:
    """The port Jobs, of which only these methods may be used."""

    def __init__(self, jobs: Any, *allowed: str) -> None:
        self._jobs, self._allowed = jobs, allowed

    def __getattr__(self, name: str) -> Any:
        assert name in self._allowed, f"{name} was used"
        return getattr(self._jobs, name)


class Batches(Records):
    """The port Batches, likewise."""


def replaying(deps: Fakes) -> Fakes:
    """The same service, with nothing in reach but the keys' rows, jobs and batches."""
    ports: dict[str, Any] = {
        field.name: Untouched() for field in fields(Deps) if field.default is field.default_factory
    }
    kept = {
        "jobs": Records(deps.jobs, "used", "get"),
        "batches": Batches(deps.batches, "get", "jobs"),
        "clock": deps.clock,
        "default_model": "no.such-model",
    }
    return replace(deps, **(ports | kept), caps=Caps(images=1), worker_concurrency=1, max_queue_seconds=1.0)


def traces(deps: Fakes) -> tuple[Any, ...]:
    jobs = deps.jobs
    return deps.blobs.objects, deps.queue.sent, deps.projects.rows, jobs.rows, jobs.keys, jobs.books, jobs.outbox.rows


NONE: tuple[Any, ...] = ({}, [], {}, {}, {}, {}, {})


def test_an_answer_is_given_again_from_its_row_and_its_job_alone() -> None:
    deps = house()
    first, replayed = accept(GOOD, KEYED, deps)
    assert not replayed
    assert accept(GOOD, KEYED, replaying(deps)) == (first, True)
    with pytest.raises(IdempotencyMismatch):
        accept(GOOD, OTHER, replaying(deps))


def test_a_batch_is_answered_again_from_its_row_and_its_jobs_alone() -> None:
    deps = house()
    items: list[Item] = [GOOD, Refused(InvalidRequest("no"), ImageRequest("x"))]
    batch, jobs, replayed = submit_batch(items, KEYED, deps)
    assert ([job.status for job in jobs], replayed) == ([QUEUED, FAILED], False)
    assert submit_batch(items, KEYED, replaying(deps)) == (batch, jobs, True)
    with pytest.raises(IdempotencyMismatch):
        submit_batch(items, OTHER, replaying(deps))


PHOTO = encoded(draw(0).file(alpha=True))
REFUSALS: dict[str, tuple[type[ServiceError], Draft, Callable[[], Fakes]]] = {
    "webhook": (InvalidRequest, GOOD, lambda: house(webhook_urls=FakeUrls(URL))),
    "no base64": (MalformedBody, replace(GOOD, picture="*"), house),
    "no picture": (UnsupportedMediaType, replace(GOOD, picture=encoded(b"GIF89a")), house),
    "broken picture": (MalformedBody, replace(GOOD, picture=PHOTO[:2000]), lambda: house(pictures=PillowPictures())),
    "product without room": (
        InvalidRequest,
        Draft(ImageRequest("a rock", task=BACKGROUND, width=64, height=64), PHOTO),
        lambda: house(pictures=PillowPictures()),
    ),
    "unknown model": (UnknownModel, replace(GOOD, request=replace(GOOD.request, model="no")), house),
    "retired model": (
        RetiredModel,
        replace(GOOD, request=replace(GOOD.request, model="stability.stable-diffusion-xl-v1")),
        house,
    ),
    "no such provider": (ProviderUnconfigured, replace(GOOD, request=replace(GOOD.request, provider="gemini")), house),
    "no reference taken": (
        InvalidRequest,
        replace(GOOD, request=replace(GOOD.request, model="stability.stable-image-core-v1:1")),
        house,
    ),
    "overloaded": (
        Overloaded,
        GOOD,
        lambda: house(backlog=FakeBacklog(9999, {"acme": 9999}), max_queue_seconds=900.0, worker_concurrency=1),
    ),
    "budget of images": (
        BudgetExceeded,
        replace(GOOD, request=replace(GOOD.request, n=2)),
        lambda: house(caps=Caps(images=1)),
    ),
    "budget of money": (BudgetExceeded, GOOD, lambda: house(caps=Caps(microusd=1))),
}


@pytest.mark.parametrize("caller", [ANYBODY, KEYED], ids=["no key", "a key"])
@pytest.mark.parametrize("reason", REFUSALS)
def test_what_is_refused_leaves_nothing_behind(reason: str, caller: Caller) -> None:
    error, draft, service = REFUSALS[reason]
    deps = service()
    with pytest.raises(ServiceError) as refused:
        accept(draft, caller, deps, queued=True)
    assert type(refused.value) is error
    assert traces(deps) == NONE


def test_while_no_provider_can_be_asked_nothing_is_left_either() -> None:
    deps = house()
    for _ in range(10):
        deps.health.observe("bedrock", SD35, Failure.UNAVAILABLE, 1.0, 0.0, deps.clock.now())
    with pytest.raises(NoneAvailable):
        accept(GOOD, KEYED, deps)
    assert traces(deps) == NONE


@pytest.mark.parametrize("reason", REFUSALS)
def test_an_item_is_refused_alone_and_leaves_its_record_alone(reason: str) -> None:
    error, draft, service = REFUSALS[reason]
    deps = service()
    caller = replace(ANYBODY, request_id="batch")
    _, [job], _ = submit_batch([draft], caller, deps)
    assert job.error
    assert (job.status, job.error.code) == (FAILED, error.code)
    assert (job.reserved_images, job.reserved_microusd) == (0, 0)
    assert (job.request.reference_key, deps.blobs.objects) == (None, {})
    told = [message for message in deps.queue.sent if not message["watchdog"]]
    assert told == []


def test_a_batch_with_too_many_pixels_leaves_nothing_behind() -> None:
    class Large(PillowPictures):
        def pixels(self, data: bytes) -> int:
            return 30_000_000

    deps = house(pictures=Large())
    with pytest.raises(TooLarge) as refused:
        submit_batch([GOOD, replace(GOOD, picture=encoded(b"64x64:two"))], KEYED, deps)
    assert [wrong.field for wrong in refused.value.errors] == ["requests.1.reference_image"]
    assert traces(deps) == NONE


def test_without_the_bucket_no_half_of_a_batch_is_made() -> None:
    class Closed:
        def put(self, *_: object) -> None:
            raise Unavailable("no bucket")

    deps = house(blobs=Closed())
    with pytest.raises(Unavailable):
        submit_batch([Draft(ImageRequest("a")), GOOD], KEYED, deps)
    assert traces(replace(deps, blobs=Fakes().blobs)) == NONE


def test_a_batch_within_what_is_left_of_the_month() -> None:
    """In the order of the items, and only what is accepted is stored."""
    deps = house(caps=Caps(images=3))
    items = [
        Draft(ImageRequest("a fox", model=SD35, n=n), encoded(b"64x64:%d" % n), "reference_image") for n in (2, 3, 1, 4)
    ]
    _, jobs, _ = submit_batch(items, ANYBODY, deps)
    assert [job.status for job in jobs] == [QUEUED, FAILED, QUEUED, FAILED]
    assert set(deps.blobs.objects) == {jobs[0].request.reference_key, jobs[2].request.reference_key}
    assert deps.books.committed("acme", deps.clock.now()).images == 3


class Optimistic:
    """The month as it was before others filled it."""

    def committed(self, _tenant: str, _at: float) -> Committed:
        return Committed()


def test_the_transaction_decides_where_the_month_fills_up_meanwhile() -> None:
    """The upload is another request's too, perhaps, and its message finds no job: both are left to themselves."""
    deps = house(caps=Caps(images=1), books=Optimistic())
    accept(GOOD, ANYBODY, deps)
    before = set(deps.jobs.rows)
    with pytest.raises(BudgetExceeded):
        accept(GOOD, KEYED, deps)
    assert (set(deps.jobs.rows), deps.jobs.keys) == (before, {})
    _, [job], _ = submit_batch([GOOD], KEYED, deps)
    assert job.error
    assert (job.status, job.error.code, job.reserved_images) == (FAILED, "budget_exceeded", 0)
    assert deps.jobs.get("acme", job.id) == job


class Twice(FakeJobs):
    """Another request under the same key is accepted right after the first look at it."""

    other: Callable[[], object] | None = None

    def used(self, tenant: str, key: str, now: float) -> Idempotency | None:
        found = super().used(tenant, key, now)
        if self.other:
            other, self.other = self.other, None
            other()
        return found


def test_of_two_that_come_at_once_with_room_for_one_both_get_its_answer() -> None:
    jobs = Twice()
    deps = house(jobs=jobs, caps=Caps(images=1))
    made: list[tuple[Job, bool]] = []
    jobs.other = lambda: made.append(accept(GOOD, KEYED, deps))
    job, replayed = accept(GOOD, KEYED, deps)
    assert (made, replayed) == ([(job, False)], True)


def test_of_two_batches_that_come_at_once_with_room_for_one_both_get_its_answer() -> None:
    jobs = Twice()
    deps = house(jobs=jobs, caps=Caps(images=2))
    made: list[tuple[Batch, list[Job], bool]] = []
    jobs.other = lambda: made.append(submit_batch([GOOD, GOOD], KEYED, deps))
    batch, found, replayed = submit_batch([GOOD, GOOD], KEYED, deps)
    assert (made, replayed) == ([(batch, found, False)], True)
    assert [job.status for job in found] == [QUEUED, QUEUED]


class Interrupting(FakeUrls):
    """Something happens while an address is looked up."""

    then: Callable[[], object] | None = None

    def refusal(self, url: str) -> str | None:
        if self.then:
            then, self.then = self.then, None
            then()
        return super().refusal(url)


def test_a_batch_that_two_requests_make_at_once_reserves_each_job_once() -> None:
    urls = Interrupting()
    deps = house(caps=Caps(images=2), webhook_urls=urls)
    _, jobs, _ = submit_batch([GOOD, GOOD], KEYED, deps)
    for job in jobs:
        deps.jobs.cancel("acme", job.id, deps.clock.now())
        del deps.jobs.rows["acme", job.id]  # the first request has stored the batch alone
    urls.then = lambda: deps.jobs.create(jobs[0], None, deps.caps)  # and goes on while the second one looks
    _, again, replayed = submit_batch([GOOD, GOOD], KEYED, deps)
    assert ([job.id for job in again], replayed) == ([job.id for job in jobs], True)
    assert [job.status for job in again] == [QUEUED, QUEUED]


def test_an_item_of_a_batch_is_answered_from_the_cache_too() -> None:
    deps = house()
    draft = Draft(ImageRequest("a fox", seed=7, cache=True))
    first, _ = accept(draft, ANYBODY, deps)
    run_job("acme", first.id, deps.clock.now() + 800, deps)
    _, [job], _ = submit_batch([draft], ANYBODY, deps)
    assert (job.status, job.cached) == (COMPLETED, True)
    assert [message["job_id"] for message in deps.queue.sent] == [first.id]

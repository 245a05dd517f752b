"""An image is deleted for good, once, and only after its job has ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambdas.domain.errors import JobNotEnded, NotFound
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import ImageRequest
from lambdas.usecases.jobs.delete_image import delete_image
from lambdas.usecases.jobs.run_job import run_job
from lambdas.usecases.jobs.submit_job import Caller, submit_job
from tests.support.fakes import FakeProvider, FakeProviders, Fakes

CALLER = Caller("acme", "r-1")


def paid() -> Fakes:
    """A service whose provider is paid, so that what it answers is kept as it came."""
    return Fakes(providers=FakeProviders(bedrock=FakeProvider()))


def made(deps: Fakes, **request: Any) -> Job:
    job, _ = submit_job(ImageRequest("a fox", **request), CALLER, deps)
    if not job.final:
        run_job("acme", job.id, deps.clock.now() + 60, deps)
    found = deps.jobs.get("acme", job.id)
    assert found
    return found


def test_the_bytes_and_the_records_go_and_the_job_stays() -> None:
    deps = paid()
    job = made(deps, n=2)
    objects = deps.blobs.objects
    assert len(objects) == 4
    first, second = job.images
    delete_image("acme", job.id, first.id, deps)
    assert set(objects) == {second.key, f"raw/acme/{job.id}/1"}
    assert deps.jobs.find_image("acme", first.name) is None
    left = deps.jobs.get("acme", job.id)
    assert left
    assert (left.status, left.images, left.attempts) == ("completed", (second,), job.attempts)
    with pytest.raises(NotFound):
        delete_image("acme", job.id, first.id, deps)


def test_every_attempt_for_the_image_is_forgotten() -> None:
    deps = paid()
    blobs, job = deps.blobs, made(deps)
    blobs.put(f"raw/acme/{job.id}/0", b"of a first attempt", "x")
    rows = deps.jobs.rows
    rows["acme", job.id] = replace(job, attempts=job.attempts * 2)
    blobs.put(f"raw/acme/{job.id}/1", b"of a second", "x")
    delete_image("acme", job.id, job.images[0].id, deps)
    assert blobs.objects == {}


def test_a_crash_after_the_bytes_leaves_an_image_that_can_be_deleted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    deps = paid()
    job = made(deps)
    with monkeypatch.context() as m:
        m.setattr(deps.jobs, "drop_image", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            delete_image("acme", job.id, job.images[0].id, deps)
    assert deps.blobs.objects == {}
    delete_image("acme", job.id, job.images[0].id, deps)


def test_of_an_unknown_or_another_tenants_job_nothing_is_found() -> None:
    deps = paid()
    job = made(deps)
    image = job.images[0].id
    for tenant, job_id, image_id in (
        ("umbrella", job.id, image),
        ("acme", job.id, "im_0000000000000000"),
        ("acme", "00000000-0000-7000-8000-000000000000", image),
        ("acme", "../x", image),
    ):
        with pytest.raises(NotFound):
            delete_image(tenant, job_id, image_id, deps)
    assert len(deps.blobs.objects) == 2


def test_a_job_that_has_not_ended_keeps_its_images() -> None:
    deps = paid()
    job, _ = submit_job(ImageRequest("a fox"), CALLER, deps)
    for _ in range(2):
        with pytest.raises(JobNotEnded):
            delete_image("acme", job.id, "im_0000000000000000", deps)
        deps.jobs.claim("acme", job.id, deps.clock.now(), deps.clock.now() + 20)


def test_a_deleted_image_answers_no_later_request() -> None:
    deps = paid()
    job = made(deps, cache=True, seed=4)
    again = made(deps, cache=True, seed=4)
    assert (again.cached, again.images) == (True, job.images)
    delete_image("acme", job.id, job.images[0].id, deps)
    assert deps.jobs.get("acme", again.id).images == ()  # type: ignore[union-attr]
    third = made(deps, cache=True, seed=4)
    assert not third.cached
    assert third.images[0].id != job.images[0].id
    delete_image("acme", third.id, third.images[0].id, deps)


def test_deleting_where_it_was_reused_deletes_it_where_it_was_made() -> None:
    deps = paid()
    job = made(deps, cache=True, seed=4, n=2)
    again = made(deps, cache=True, seed=4, n=2)
    delete_image("acme", again.id, again.images[0].id, deps)
    assert set(deps.blobs.objects) == {job.images[1].key, f"raw/acme/{job.id}/1"}
    for each in (job, again):
        assert deps.jobs.get("acme", each.id).images == job.images[1:]  # type: ignore[union-attr]
        with pytest.raises(NotFound):
            delete_image("acme", each.id, job.images[0].id, deps)

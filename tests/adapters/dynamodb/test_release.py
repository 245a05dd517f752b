"""A job returned to the queue: unchanged but for its fence, and only by its holder."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lambdas.adapters.dynamodb.jobs import DynamoJobs
from lambdas.domain.ids import new_job_id
from lambdas.domain.jobs.job import CANCELLED, QUEUED, RUNNING, Attempt, Job, JobFilter
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.ports.jobs import Jobs
from tests.support.fakes import FakeJobs

NOW = 1_790_000_000.0


@pytest.fixture(params=["table", "fake"])
def jobs(request: pytest.FixtureRequest) -> Jobs:
    if request.param == "fake":
        return FakeJobs()
    request.getfixturevalue("cloud")
    return DynamoJobs("jobs", "images")


def claimed(jobs: Jobs, at: float = NOW) -> Job:
    job = Job("acme", new_job_id(NOW), ImageRequest("x"), "m", "gemini", 1, NOW, expires_at=int(NOW) + 1000)
    jobs.create(job, None)
    found = jobs.claim("acme", job.id, at, at + 20)
    assert found
    return found


def test_a_released_job_is_queued_again_and_free_at_once(jobs: Jobs) -> None:
    job = claimed(jobs)
    assert jobs.release(replace(job, prompt="shortened"))
    found = jobs.get("acme", job.id)
    assert found
    assert (found.status, found.started_at, found.lease_until, found.prompt) == (QUEUED, None, 0, "shortened")
    assert (found.fence, found.released, found.runs) == (1, 1, 0)
    assert [j.id for j in jobs.list("acme", JobFilter(status=QUEUED), 10, None).jobs] == [job.id]
    again = jobs.claim("acme", job.id, NOW + 1, NOW + 21)
    assert again
    assert (again.status, again.fence, again.runs, again.started_at) == (RUNNING, 2, 1, NOW + 1)


def test_a_job_that_waits_for_a_ticket_keeps_it(jobs: Jobs) -> None:
    attempt = Attempt("sagemaker", "m", started_at=NOW, ticket="place")
    job = replace(claimed(jobs), attempts=(attempt,))
    assert jobs.release(job)
    again = jobs.claim("acme", job.id, NOW + 1, NOW + 21)
    assert again
    assert again.attempts == (attempt,)


def test_only_the_newest_claim_may_release(jobs: Jobs) -> None:
    first = claimed(jobs)
    second = jobs.claim("acme", first.id, NOW + 21, NOW + 41)
    assert second
    assert not jobs.release(first)
    found = jobs.get("acme", first.id)
    assert found
    assert (found.status, found.fence) == (RUNNING, 2)
    assert jobs.release(second)
    assert not jobs.save(second)
    assert not jobs.renew(second, NOW + 99)


def test_a_released_job_can_be_cancelled_and_a_cancelled_one_not_released(jobs: Jobs) -> None:
    job = claimed(jobs)
    assert not jobs.cancel("acme", job.id, NOW)
    assert jobs.release(job)
    assert jobs.cancel("acme", job.id, NOW)
    assert not jobs.release(job)
    found = jobs.get("acme", job.id)
    assert found
    assert found.status == CANCELLED
    assert jobs.claim("acme", job.id, NOW + 60, NOW + 80) is None

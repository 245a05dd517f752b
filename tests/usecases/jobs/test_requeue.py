"""A completion notification requeues its job, if the job still waits for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lambdas.domain.failures import Failure
from lambdas.domain.jobs.job import Attempt, Job
from lambdas.domain.jobs.request import ImageRequest
from lambdas.usecases.jobs.requeue import requeue_finished_job
from lambdas.usecases.jobs.submit_job import Caller, submit_job
from tests.support.fakes import Fakes

OPEN = Attempt("sagemaker", "stabilityai/sdxl-turbo", ticket='["s3://b/async/out/x", ""]')


def job_with(deps: Fakes, *attempts: Attempt, **changes: Any) -> Job:
    job = submit_job(ImageRequest("x"), Caller("acme", "r"), deps)[0]
    made = replace(job, attempts=attempts, **changes)
    deps.jobs.rows["acme", job.id] = made
    deps.queue.sent.clear()
    return made


def test_a_job_that_waits_is_queued_at_once() -> None:
    deps = Fakes()
    job = job_with(deps, OPEN)
    assert requeue_finished_job("acme", job.id, deps)
    message = {"tenant": "acme", "job_id": job.id, "watchdog": False, "delay": 0}
    assert deps.queue.sent == [message]


def test_a_notice_that_comes_twice_is_one_more_message_and_no_more() -> None:
    deps = Fakes()
    job = job_with(deps, OPEN)
    before = deps.jobs.get("acme", job.id)
    for _ in range(2):
        requeue_finished_job("acme", job.id, deps)
    assert deps.jobs.get("acme", job.id) == before


@pytest.mark.parametrize(
    "attempts",
    [
        (),
        (replace(OPEN, ticket=None),),
        (replace(OPEN, outcome="failed", error_code=Failure.TIMEOUT),),
        (replace(OPEN, error_code=Failure.TIMEOUT),),
        (OPEN, Attempt("bedrock", "m", outcome="success")),
        (OPEN, Attempt("bedrock", "m")),
    ],
    ids=["nothing begun", "no ticket", "given up", "given up as unknown", "done elsewhere", "being done elsewhere"],
)
def test_a_late_result_is_let_go(attempts: tuple[Attempt, ...]) -> None:
    deps = Fakes()
    job = job_with(deps, *attempts)
    assert not requeue_finished_job("acme", job.id, deps)
    assert deps.queue.sent == []


def test_jobs_that_ended_are_let_be_and_so_are_those_of_others() -> None:
    deps = Fakes()
    ended = job_with(deps, OPEN, status="failed")
    other = job_with(deps, OPEN)
    assert not requeue_finished_job("acme", ended.id, deps)
    assert not requeue_finished_job("umbrella", other.id, deps)
    assert not requeue_finished_job("acme", "01994c6e-0000-7000-8000-000000000000", deps)
    assert deps.queue.sent == []

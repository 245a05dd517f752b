"""The backlog by the queue's length and the index of jobs by status."""

from __future__ import annotations

import time
from collections.abc import Callable

import boto3
import pytest

from lambdas.adapters import queue_backlog
from lambdas.adapters.dynamodb.jobs import DynamoJobs
from lambdas.adapters.queue_backlog import QueueBacklog
from lambdas.adapters.queues import SqsQueue
from lambdas.domain.jobs.job import Job, JobStatus
from lambdas.domain.jobs.request import ImageRequest

NOW = 1_790_000_000.0


@pytest.fixture
def url(cloud: None) -> str:
    return str(boto3.client("sqs").create_queue(QueueName="jobs")["QueueUrl"])


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes the memory's time pass."""
    at = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: at[0])

    def pass_by() -> None:
        at[0] += queue_backlog.MEMORY_SECONDS

    return pass_by


def job(number: int, tenant: str = "acme", status: JobStatus = "queued") -> Job:
    job_id = f"00000000-0000-7000-8000-{number:012}"
    return Job(tenant, job_id, ImageRequest("x"), "m", "gemini", 1, NOW, status=status, expires_at=int(NOW) + 9)


def test_waiting_messages_are_counted_and_delayed_ones_are_not(url: str, later: Callable[[], None]) -> None:
    queue, backlog = SqsQueue(url), QueueBacklog(url, "jobs")
    assert backlog.waiting() == 0
    for number in range(3):
        queue.send("acme", str(number), watchdog=False, delay=0)
        queue.send("acme", str(number), watchdog=True, delay=30)
    assert backlog.waiting() == 0  # as it was a moment ago
    later()
    assert backlog.waiting() == 3


def test_a_queue_out_of_reach_gives_no_opinion(url: str, later: Callable[[], None]) -> None:
    backlog = QueueBacklog(url, "jobs")
    assert backlog.waiting() == 0
    boto3.client("sqs").delete_queue(QueueUrl=url)
    later()
    assert backlog.waiting() is None


def test_a_tenants_queued_jobs_are_counted_up_to_a_bound(url: str, later: Callable[[], None]) -> None:
    jobs, backlog = DynamoJobs("jobs", "images"), QueueBacklog(url, "jobs")
    for number in range(5):
        jobs.create(job(number), None)
    jobs.create(job(5, status="completed"), None)
    jobs.create(job(6, tenant="umbrella"), None)
    assert backlog.queued("acme", 10) == 5
    assert backlog.queued("umbrella", 10) == 1
    assert backlog.queued("acme", 3) == 3
    jobs.create(job(7), None)
    assert backlog.queued("acme", 3) == 3
    assert backlog.queued("acme", 10) == 6
    jobs.create(job(8), None)
    assert backlog.queued("acme", 10) == 6  # as it was a moment ago
    later()
    assert backlog.queued("acme", 10) == 7


def test_an_index_out_of_reach_counts_nothing(url: str) -> None:
    assert QueueBacklog(url, "no such table").queued("acme", 10) == 0

"""The retry schedule of webhooks, and the event of a job's end."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from lambdas.domain.jobs.job import Job, JobStatus
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.webhooks import JITTER, KEPT_SECONDS, MAX_ATTEMPTS, MAX_RETRY_AFTER, SCHEDULE, event_of, next_due

NOW = 1_790_000_000.0
JOB = Job("acme", "01", ImageRequest("x", webhook_url="https://a.example/h"), "m", "p", 1, NOW - 5, expires_at=1)


class Edge(random.Random):
    """Draws the smallest value, or the largest."""

    def __init__(self, *, most: bool) -> None:
        super().__init__()
        self.most = most

    def uniform(self, a: float, b: float) -> float:
        return b if self.most else a


@pytest.mark.parametrize("most", [False, True])
def test_ten_attempts_and_more_over_three_days_and_more(most: bool) -> None:
    now, attempts = NOW, 1
    while (due := next_due(attempts, None, now, Edge(most=most))) is not None:
        now, attempts = due, attempts + 1
    assert attempts == MAX_ATTEMPTS >= 10
    assert 3 * 86_400 <= now - NOW < 5 * 86_400


def test_the_first_retry_comes_within_two_minutes() -> None:
    due = next_due(1, None, NOW, Edge(most=True))
    assert due
    assert 0 < due - NOW < 120


def test_waits_differ_from_one_event_to_the_next() -> None:
    rng = random.Random(7)
    dues = {next_due(6, None, NOW, rng) for _ in range(50)}
    assert len(dues) > 40
    assert all(SCHEDULE[5] <= due - NOW <= SCHEDULE[5] * (1 + JITTER) + 1 for due in dues if due)


@pytest.mark.parametrize(
    ("asked", "wait"), [(0.0, 5), (3.0, 5), (90.5, 91), (86_400.0, 86_400), (1e9, MAX_RETRY_AFTER)]
)
def test_a_receiver_may_ask_for_a_later_time(asked: float, wait: float) -> None:
    due = next_due(1, asked, NOW, Edge(most=False))
    assert due
    assert due - NOW == wait


@pytest.mark.parametrize("status", ["cancelled", "completed", "failed"])
def test_the_event_of_a_job(status: JobStatus) -> None:
    event = event_of(replace(JOB, status=status, finished_at=NOW + 0.5))
    assert event
    assert (event.type, event.id, event.url) == (f"generation.{status}", "msg_01", "https://a.example/h")
    assert (event.due, event.attempts, event.state, event.finished_at) == (int(NOW), 0, "pending", NOW + 0.5)
    assert event.expires_at == int(NOW) + KEPT_SECONDS  # though its job's record goes sooner
    assert event_of(replace(JOB, status=status, finished_at=NOW, expires_at=2**40)).expires_at == 2**40  # type: ignore[union-attr]


def test_no_event_of_a_job_that_goes_on_or_that_nobody_waits_for() -> None:
    assert event_of(JOB) is None
    assert event_of(replace(JOB, status="completed", finished_at=NOW, request=ImageRequest("x"))) is None


def test_a_request_with_a_webhook_comes_back_from_its_record() -> None:
    assert ImageRequest.from_dict(JOB.request.to_dict()) == JOB.request


def test_a_record_of_another_version_can_be_read() -> None:
    """While a deployment goes on, both are there."""
    assert ImageRequest.from_dict(JOB.request.to_dict() | {"of_tomorrow": 1}) == JOB.request

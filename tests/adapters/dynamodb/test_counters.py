"""The deployment's counters in DynamoDB: every request once, and every job with its end."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from lambdas.adapters import aws
from lambdas.adapters.dynamodb import counters
from lambdas.adapters.dynamodb.counters import DynamoCounters
from lambdas.adapters.dynamodb.jobs import DynamoJobs
from lambdas.domain import ids, metrics
from lambdas.domain.errors import Unavailable
from lambdas.domain.jobs.job import Attempt, Job
from lambdas.domain.jobs.request import ImageRequest

NOW = 1_790_000_000.25
SERIES = ("http", "GET", "/health", "200")
GPU = Attempt("sagemaker", "sdxl", "success", duration=9.0, painted=0.5, loaded=21.5)


@pytest.fixture
def counted(cloud: None) -> DynamoCounters:
    return DynamoCounters("jobs")


@pytest.fixture
def jobs(counted: DynamoCounters) -> DynamoJobs:
    return DynamoJobs("jobs", "images", metrics=True)


def request(counted: DynamoCounters, seconds: float = 0.2, now: float = NOW) -> None:
    counted.request(*metrics.of_request("GET", "/health", 200, seconds, rate_limited=False), now)


def claimed(jobs: DynamoJobs) -> Job:
    made = Job("acme", ids.new_job_id(NOW), ImageRequest("x"), "sdxl", "sagemaker", 1, NOW, expires_at=int(NOW) + 9_999)
    jobs.create(made, None)
    found = jobs.claim("acme", made.id, NOW, NOW + 20)
    assert found
    return found


def test_8_2_requests_of_many_writers_are_counted_exactly(counted: DynamoCounters, serial: None) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: request(counted, 0.001 * number, NOW - number), range(200)))
    found = counted.read(NOW).series
    assert list(found) == [SERIES]
    columns = found[SERIES].columns
    assert columns["count"] == 200
    assert columns["sum"] == 1000 * sum(range(200))
    assert sum(value for name, value in columns.items() if name[0] == "b") == 200
    assert NOW - 199 <= (found[SERIES].since or 0) <= NOW
    rows = boto3.client("dynamodb").scan(TableName="jobs")["Items"]
    assert {row["pk"]["S"] for row in rows} == {"#metrics#0"}


def test_8_2_what_a_job_did_comes_with_its_end(counted: DynamoCounters, jobs: DynamoJobs) -> None:
    job = replace(claimed(jobs), attempts=(Attempt("gemini", "g", "failed"), GPU))
    assert counted.read(NOW).series == {}
    assert jobs.finish(job.completed(NOW + 9))
    assert not jobs.finish(job.completed(NOW + 9))
    found = {series: dict(one.columns) for series, one in counted.read(NOW).series.items()}
    assert found == metrics.of_job(job)
    assert counted.read(NOW).gpu["sdxl"].load_seconds == 21.5


def test_without_metrics_a_job_counts_nothing(counted: DynamoCounters) -> None:
    jobs = DynamoJobs("jobs", "images")
    assert jobs.finish(replace(claimed(jobs), attempts=(GPU,)).completed(NOW + 9))
    found = counted.read(NOW)
    assert (found.series, found.gpu, found.running) == ({}, {}, 0)


def test_jobs_that_run_are_those_under_a_lease(counted: DynamoCounters, jobs: DynamoJobs) -> None:
    ends, dies, goes_back = claimed(jobs), claimed(jobs), claimed(jobs)
    assert counted.read(NOW).running == 3
    assert jobs.finish(ends.failed(NOW + 1, "x", "no"))
    assert counted.read(NOW + 1).running == 2
    assert jobs.release(goes_back)
    assert counted.read(NOW + 1).running == 1
    assert jobs.renew(dies, NOW + 60)
    assert counted.read(NOW + 59).running == 1
    assert counted.read(NOW + 61).running == 0  # its process has died, and its row is still there


def test_models_that_were_unloaded(counted: DynamoCounters, jobs: DynamoJobs) -> None:
    assert jobs.finish(replace(claimed(jobs), attempts=(GPU,)).completed(NOW + 9))
    assert counted.read(NOW).gpu["sdxl"].loaded
    counted.unloaded(["sdxl", "other"], NOW + 20)
    found = counted.read(NOW).gpu
    assert (found["sdxl"].loaded, found["sdxl"].load_seconds, found["sdxl"].at) == (False, 21.5, NOW + 20)
    assert (found["other"].loaded, found["other"].load_seconds) == (False, None)


class Faulty:
    """A table whose next writes fail: with an error before they are made, or with one after that."""

    def __init__(self, *faults: tuple[Exception, bool]) -> None:
        self.real = boto3.client("dynamodb")
        self.faults = list(faults)
        self.asked: list[str] = []

    def update_item(self, **arguments: object) -> object:
        self.asked.append(arguments["Key"]["pk"]["S"])  # type: ignore[index]
        if not self.faults:
            return self.real.update_item(**arguments)
        cause, made = self.faults.pop(0)
        if made:
            self.real.update_item(**arguments)
        raise Unavailable("dynamodb") from cause


@pytest.fixture
def unlucky(counted: DynamoCounters, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    faulty = Faulty()
    monkeypatch.setattr(aws, "dynamodb_once", lambda: faulty)
    yield faulty


THROTTLED = ClientError(
    {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}},
    "UpdateItem",
)


def test_a_write_that_was_surely_not_made_is_made_again_once(
    counted: DynamoCounters, unlucky: Faulty, caplog: pytest.LogCaptureFixture
) -> None:
    unlucky.faults = [(THROTTLED, False)]
    request(counted)
    assert (len(unlucky.asked), counted.read(NOW).series[SERIES].columns["count"]) == (2, 1)
    assert not caplog.records
    for _ in range(60):
        request(counted, now=NOW + 59)
    assert set(unlucky.asked[2:]) == {f"#metrics#{shard}" for shard in range(counters.SHARDS)}
    unlucky.asked.clear()
    for _ in range(9):
        request(counted, now=NOW + 61)
    assert set(unlucky.asked) == {"#metrics#0"}
    assert counted.read(NOW).series[SERIES].columns["count"] == 70


def test_a_write_that_was_refused_twice_is_given_up(
    counted: DynamoCounters, unlucky: Faulty, caplog: pytest.LogCaptureFixture
) -> None:
    unlucky.faults = [(EndpointConnectionError(endpoint_url="x"), False)] * 3
    request(counted)
    assert (len(unlucky.asked), counted.read(NOW).series) == (2, {})
    assert [record.getMessage() for record in caplog.records] == ["a request was not counted"]


def test_a_write_whose_end_is_not_known_is_not_repeated(
    counted: DynamoCounters, unlucky: Faulty, caplog: pytest.LogCaptureFixture
) -> None:
    for made in (True, False):
        unlucky.faults = [(ReadTimeoutError(endpoint_url="x"), made)]
        request(counted)
    assert (len(unlucky.asked), counted.read(NOW).series[SERIES].columns["count"]) == (2, 1)
    assert [record.getMessage() for record in caplog.records] == ["a request may not have been counted"] * 2

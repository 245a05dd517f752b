"""The function gpu_result on the real adapters: a notification becomes one message for a worker."""

from __future__ import annotations

import json
from dataclasses import replace

import boto3
import pytest

from lambdas import wiring
from lambdas.adapters.dynamodb.jobs import DynamoJobs
from lambdas.adapters.queues import SqsQueue
from lambdas.domain import ids
from lambdas.domain.jobs.job import Attempt, Job
from lambdas.domain.jobs.request import ImageRequest
from lambdas.handlers import gpu_result
from lambdas.settings import Settings
from tests.support.fakes import deps_on_fakes

NOW = 1_790_000_000.0
CALL = "01994c6e-0000-4000-8000-000000000001"


def test_a_notice_becomes_a_message(cloud: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sqs = boto3.client("sqs")
    url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    jobs = DynamoJobs("jobs", "images")
    job = Job("acme", ids.new_job_id(NOW), ImageRequest("x"), "m", "sagemaker", 1, NOW, expires_at=int(NOW) + 1000)
    jobs.create(job, None)
    held = jobs.claim("acme", job.id, NOW, NOW + 20)
    assert held
    assert jobs.release(replace(held, attempts=(Attempt("sagemaker", "m", started_at=NOW, ticket="place"),)))
    deps = replace(deps_on_fakes(), jobs=jobs, queue=SqsQueue(url))
    monkeypatch.setattr(wiring, "live", lambda: deps)
    monkeypatch.setattr(wiring, "settings", lambda: Settings(images_bucket="images"))
    place = f"s3://images/{ids.async_key(f'acme/{job.id}', CALL)}"
    message = json.dumps({"requestParameters": {"inputLocation": place}})
    gpu_result.handler({"Records": [{"Sns": {"Message": message}}]}, None)
    [received] = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(received["Body"]) == {"tenant": "acme", "job_id": job.id, "watchdog": False}

"""Dead-lettered jobs are failed by the dead-letter function under its own role; images and event are kept."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import boto3
import pytest

from lambdas.adapters.dynamodb.items import plain
from lambdas.adapters.dynamodb.jobs import job_of, to_item
from lambdas.domain.jobs.job import RUNNING
from local.stack import Stack
from tests.e2e.conftest import Start
from tests.e2e.http import Client
from tests.e2e.test_keys import receiving

pytestmark = pytest.mark.e2e


def made_by_the_stack(stack: Stack, id: str) -> str:
    """The physical name of the service stack's resource whose logical id begins so."""
    cloudformation = boto3.client("cloudformation", endpoint_url=stack.emulator_url, **stack.credentials)
    resources = [
        r
        for name in ("image-api-data", "image-api-service")
        for r in cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    ]
    [found] = [r["PhysicalResourceId"] for r in resources if r["LogicalResourceId"][:-8] == id]
    return str(found)


def left_behind(stack: Stack, job_id: str, url: str) -> None:
    """Make of the finished job with two images one whose worker died after the first."""
    dynamodb = boto3.client("dynamodb", endpoint_url=stack.emulator_url, **stack.credentials)
    table = made_by_the_stack(stack, "JobsTable")
    key = {"pk": {"S": "default"}, "sk": {"S": job_id}}
    job = job_of(plain(dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]))
    request = replace(job.request, webhook_url=url)
    died = replace(job, request=request, status=RUNNING, lease_until=0.0, finished_at=None, images=job.images[:1])
    dynamodb.put_item(TableName=table, Item=to_item(died))


def test_a_job_given_up_keeps_the_image_it_has_and_its_client_is_told(start: Start) -> None:
    with receiving() as (url, sent), start(ALLOW_PRIVATE_URLS="1", BUDGET_IMAGES_PER_MONTH="10") as stack:
        with Client(stack.url) as client:
            made = client.post("/unified/generate", json={"prompt": "a fox", "n": 2}).json()
            job_id, kept = made["generation_id"], made["images"][0]["id"]
            left_behind(stack, job_id, url)
            sqs = boto3.client("sqs", endpoint_url=stack.emulator_url, **stack.credentials)
            body = json.dumps({"tenant": "default", "job_id": job_id, "watchdog": True})
            sqs.send_message(QueueUrl=made_by_the_stack(stack, "JobQueueDeadLetters"), MessageBody=body)
            until = time.monotonic() + 30
            while (job := client.get(f"/unified/jobs/{job_id}").json())["status"] == "running":
                assert time.monotonic() < until, (stack.settings.data_dir / "logs" / "dead_letter.log").read_text(
                    "utf-8"
                )
                time.sleep(0.2)
        assert (job["status"], [image["id"] for image in job["images"]]) == ("failed", [kept])
        event = json.loads(sent.get(timeout=30)[1])
        assert (event["type"], event["data"]["generation_id"]) == ("generation.failed", job_id)

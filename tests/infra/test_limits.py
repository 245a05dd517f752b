"""AWS's limits that no emulator or linter checks, over every template and the code's requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from infra import config
from lambdas.adapters.dynamodb.items import plain
from lambdas.adapters.dynamodb.jobs import job_of, to_item
from lambdas.domain import ids, webhooks
from lambdas.domain.failures import Failure
from lambdas.domain.jobs.job import Attempt, StoredImage
from lambdas.domain.jobs.request import MAX_PROMPT, ImageRequest
from lambdas.domain.limits import slots
from lambdas.usecases.jobs import submit_job
from lambdas.usecases.webhooks import replay
from tests.infra.conftest import Templates
from tests.support.fakes import Fakes

WIDE = "\U0001f98a"  # four bytes in UTF-8
REFERENCE = 160  # characters that a reference in a template comes to at the most: an ARN, a queue's address


@pytest.fixture(params=[("dev", "off"), ("prod", "off"), ("dev", "async"), ("prod", "async"), ("prod", "realtime")])
def made(request: pytest.FixtureRequest, synthesised: Callable[..., Templates]) -> Templates:
    environment, gpu = request.param
    return synthesised(environment, gpu=gpu)


def length(value: Any) -> int:
    """Of a value in a template, with the references in it at their longest."""
    if isinstance(value, str):
        return len(value)
    if "Fn::Join" in value:
        return sum(length(part) for part in value["Fn::Join"][1])
    return REFERENCE


def test_stacks(made: Templates) -> None:
    for name in made.files:
        template = made.template(name)
        assert len(template["Resources"]) <= 500
        assert len(template.get("Outputs", {})) <= 200
        assert len(json.dumps(template)) < 1_000_000
        assert all(len(id) <= 255 for id in template["Resources"])


def test_variables_of_functions(made: Templates) -> None:
    """4 KB for all of a function's, and room in it for the settings of a deployment."""
    for function in made.properties("AWS::Lambda::Function").values():
        variables = function["Environment"]["Variables"]
        size = sum(len(name) + length(value) for name, value in variables.items())
        assert size + config.MAX_SETTINGS <= 4096
        assert len(function.get("Description", "")) <= 256


def test_settings_that_would_not_fit_are_refused() -> None:
    names = ",".join(["m" * 99] * (config.MAX_SETTINGS // 100 + 1))
    with pytest.raises(SystemExit, match="4 KB"):
        config.settings({"ALLOWED_MODELS": names})
    assert config.settings({"ALLOWED_MODELS": names[: config.MAX_SETTINGS - 120]})


def test_policies_of_roles(made: Templates) -> None:
    """10,240 characters without blanks for all of a role's own, 2,048 for who may take it."""
    policies = made.properties("AWS::IAM::Policy").values()
    for id, role in made.properties("AWS::IAM::Role").items():
        own = [p["PolicyDocument"] for p in policies if {"Ref": id} in p["Roles"]]
        assert sum(written(document) for document in own) <= 10_240
        assert written(role["AssumeRolePolicyDocument"]) <= 2_048


def written(node: Any) -> int:
    """How long a policy is as IAM counts it."""
    if isinstance(node, dict):
        if set(node) & {"Ref", "Fn::GetAtt", "Fn::ImportValue", "Fn::Join"}:
            return length(node) + 2
        return 2 + sum(len(key) + 4 + written(value) for key, value in node.items())
    if isinstance(node, list):
        return 2 + sum(1 + written(value) for value in node)
    return len(json.dumps(node))


@pytest.mark.parametrize(
    ("kind", "name", "most"),
    [
        ("AWS::SQS::Queue", "QueueName", 80),
        ("AWS::Lambda::Function", "FunctionName", 64),
        ("AWS::IAM::Role", "RoleName", 64),
        ("AWS::S3::Bucket", "BucketName", 63),
        ("AWS::SageMaker::Endpoint", "EndpointName", 63),
        ("AWS::DynamoDB::Table", "TableName", 255),
        ("AWS::Logs::LogGroup", "LogGroupName", 512),
        ("AWS::ApiGateway::RestApi", "Name", 1024),
        ("AWS::CloudWatch::Alarm", "AlarmDescription", 1024),
    ],
)
def test_names(made: Templates, kind: str, name: str, most: int) -> None:
    assert all(len(p.get(name, "")) <= most for p in made.properties(kind).values())


def test_answers_of_the_gateway(made: Templates) -> None:
    """A static header stands between single quotes, and so can hold none."""
    for response in made.properties("AWS::ApiGateway::GatewayResponse").values():
        for source in response["ResponseParameters"].values():
            assert source == "context.requestId" or source.strip("'").count("'") == 0


def test_delays_of_messages() -> None:
    """15 minutes at the most."""
    pauses = (submit_job.WATCHDOG_SECONDS, webhooks.MAX_DELAY, replay.SAFE_SECONDS, slots.MAX_PAUSE)
    assert all(0 <= pause <= 900 for pause in (*pauses, webhooks.LEASE_SECONDS))


def test_the_group_of_a_message_is_a_tenant() -> None:
    """Up to 128 letters, digits and signs of ASCII."""
    assert ids.TENANT.fullmatch("a" * 63)
    assert not ids.TENANT.fullmatch("a" * 64)
    assert not any(ids.TENANT.fullmatch(tenant) for tenant in ("ä", "a b", "a#b", ""))


def test_the_record_of_the_largest_job() -> None:
    """400 KB for an item; and its end is written with its images in one transaction of 100 items and 4 MB."""
    request = ImageRequest(
        WIDE * MAX_PROMPT,
        negative_prompt=WIDE * MAX_PROMPT,
        n=8,
        optimize_prompt=False,
        webhook_url="https://a.example/" + "h" * 1_982,
        labels={f"{n:02d}" + WIDE * 62: WIDE * 500 for n in range(16)},
    )
    job, _ = submit_job.submit_job(request, submit_job.Caller("t" * 63, "r" * 36), Fakes())
    attempt = Attempt("leonardo_ai", "m" * 200, ticket="s3://" + "k" * 1_000, error_code=Failure.OUTCOME_UNKNOWN)
    images = tuple(StoredImage(id=f"im_{n}", **IMAGE) for n in range(8))
    largest = replace(job, prompt=WIDE * MAX_PROMPT, attempts=(attempt,) * 8 * 10, images=images)
    assert size_of(to_item(largest)) < 400 * 1024
    strange = replace(largest, prompt="half a fox: \ud83e")
    assert job_of(plain(to_item(strange))) == strange
    to_item(strange)["doc"]["S"].encode()


IMAGE: dict[str, Any] = {
    "key": "k" * 300,
    "name": "n" * 60,
    "project_id": "p" * 63,
    "provider": "leonardo_ai",
    "job_id": "j" * 36,
    "created_at": 1.0,
    "width": 1024,
    "height": 1024,
    "format": "png",
    "seed": 1,
    "bytes": 1,
}


def size_of(item: Any) -> int:
    """As DynamoDB counts: names and texts by their bytes, numbers and what holds others a little more."""
    if isinstance(item, dict):
        [(kind, value)] = item.items() if len(item) == 1 else [(None, item)]
        if kind in ("S", "N"):
            return len(str(value).encode()) + 1
        if kind == "L":
            return 3 + sum(1 + size_of(part) for part in value)
        if kind == "M":
            return 3 + sum(1 + len(name.encode()) + size_of(part) for name, part in value.items())
        if kind in ("BOOL", "NULL"):
            return 1
        return sum(len(name.encode()) + size_of(part) for name, part in item.items())
    raise TypeError(item)


def test_pages_of_a_batch_of_records() -> None:
    """100 keys for a read of several, of which a page asks for no more."""
    from lambdas.api.schemas.jobs import JobsQuery
    from lambdas.api.schemas.webhooks import WebhooksQuery

    for query in (JobsQuery, WebhooksQuery):
        [most] = [m.le for m in query.model_fields["limit"].metadata if hasattr(m, "le")]
        assert most <= 100

"""Both cdk-nag packs run in every synthesis, and cfn-lint checks its result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import aws_iam as iam
from cfnlint.api import lint_file
from cfnlint.config import ManualArgs

from infra.build import build
from infra.snapshot import NOT_BUNDLED
from tests.infra.conftest import Templates

# single findings that are accepted, and nothing else; the reasons stand where they are acknowledged
ACCEPTED = {
    "AwsSolutions-APIG2",
    "AwsSolutions-APIG3",
    "AwsSolutions-APIG4",
    "AwsSolutions-COG4",
    "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]",
    "AwsSolutions-IAM5[Resource::*]",
    "AwsSolutions-IAM5[Resource::image-api-{environment}-data:ImageBucketArn/images/*]",
    "AwsSolutions-IAM5[Resource::image-api-{environment}-data:ImageBucketArn/raw/*]",
    "AwsSolutions-IAM5[Resource::image-api-{environment}-data:ImageBucketArn/variants/*]",
    "AwsSolutions-IAM5[Resource::image-api-{environment}-data:ImageBucketArn/uploads/*]",
    "AwsSolutions-IAM5[Resource::image-api-{environment}-data:ImageBucketArn/answers/*]",
    "AwsSolutions-L1",
    "AwsSolutions-S1",
    "AwsSolutions-SMG4",
    "Serverless-LambdaDLQ",
    "Serverless-LambdaEventSourceMappingDestination",
    "Serverless-LambdaLatestVersion",
    "Serverless-SQSRedrivePolicy",
}


def acknowledged(templates: Templates) -> Iterator[tuple[str, str, str]]:
    """Every acknowledged finding as (construct path, rule, reason)."""
    for file in templates.folder.glob("*.metadata.json"):
        for path, entries in json.loads(file.read_text("utf-8")).items():
            for entry in entries:
                if entry["type"] == "aws:cdk:acknowledged-rules":
                    for rule, reason in entry["data"].items():
                        yield path, rule.removeprefix("Annotation::"), reason


def test_only_known_findings_are_accepted_and_each_has_a_reason(templates: Templates) -> None:
    found = list(acknowledged(templates))
    accepted = {rule.format(environment=templates.environment) for rule in ACCEPTED}
    unused = {"AwsSolutions-S1"} if templates.environment == "prod" else set()
    assert {rule for _, rule, _ in found} == accepted - unused
    assert all(len(reason) > 30 for _, _, reason in found)


def test_a_bare_wildcard_is_accepted_only_where_nothing_else_stands(templates: Templates) -> None:
    paths = {path for path, rule, _ in acknowledged(templates) if rule == "AwsSolutions-IAM5[Resource::*]"}
    assert len(paths) == 5
    assert all(path.endswith("/Tracing") for path in paths)


def test_a_role_accepts_wildcards_for_the_objects_it_may_touch_and_no_others(templates: Templates) -> None:
    found: dict[str, set[str]] = {}
    for path, rule, _ in acknowledged(templates):
        if "ImageBucketArn" in rule:
            found.setdefault(path.split("/")[2], set()).add(rule.rpartition("ImageBucketArn/")[2].removesuffix("]"))
    every = {"images/*", "variants/*", "raw/*", "uploads/*", "answers/*"}
    assert found == {"Api": every, "Worker": every, "Webhooks": {"images/*"}}


@pytest.mark.parametrize(
    ("action", "resource", "finding"),
    [
        ("bedrock:InvokeModel", "*", "AwsSolutions-IAM5[Resource::*]"),
        ("dynamodb:*", "arn:aws:dynamodb:us-west-2:111122223333:table/one", "AwsSolutions-IAM5[Action::dynamodb:*]"),
    ],
)
def test_a_new_wildcard_stops_the_synthesis(tmp_path: Path, action: str, resource: str, finding: str) -> None:
    app = build({"env": "dev", "gpu": "off", **NOT_BUNDLED}, outdir=str(tmp_path))
    api: Any = app.node.find_child("image-api-dev-service").node.find_child("Api")
    api.role.add_to_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    assert finding in (tmp_path / "validation-report.json").read_text("utf-8")


def test_what_cloudformation_would_refuse_stops_the_synthesis(tmp_path: Path) -> None:
    app = build({"env": "dev", "gpu": "off", **NOT_BUNDLED}, outdir=str(tmp_path))
    api: Any = app.node.find_child("image-api-dev-service").node.find_child("Api")
    api.function.add_environment("A", "names of one letter are not allowed")
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()


def test_cfn_lint(templates: Templates) -> None:
    # W3005: CDK writes DependsOn beside a reference that implies it
    arguments = ManualArgs(regions=["us-west-2", "eu-central-1"], ignore_checks=["W3005"])
    for file in templates.files.values():
        assert [str(match) for match in lint_file(file, config=arguments)] == []

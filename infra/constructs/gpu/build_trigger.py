"""Defines the custom resource that builds the GPU worker's image, which the deployment waits for."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra import grants
from infra.acknowledge import acknowledge
from infra.constructs.function import FunctionSpec, ServiceFunction

SOURCE = Path(__file__).parents[2] / "functions" / "build_image.py"
TRIGGER = FunctionSpec("index.handler", 60, 256, "Starts the build of the worker's image and reports its end")


def build_trigger(scope: Construct, project: codebuild.CfnProject, variables: dict[str, str]) -> cdk.CustomResource:
    """Build with each change of the variables. Resources that need the image depend on the returned one."""
    trigger = ServiceFunction(
        scope,
        "Trigger",
        spec=TRIGGER,
        code=lambda_.Code.from_inline(SOURCE.read_text("utf-8")),
        environment={"PROJECT": project.ref},
        statements=[grants.allow(("codebuild:StartBuild", "codebuild:BatchGetBuilds"), project.attr_arn)],
        log_retention=logs.RetentionDays.TWO_WEEKS,
        never_lost="CloudFormation ends a deployment that gets no answer within an hour.",
    )
    rule = events.Rule(
        scope,
        "Ended",
        description="A build of the worker's image has ended",
        event_pattern=events.EventPattern(
            source=["aws.codebuild"],
            detail_type=["CodeBuild Build State Change"],
            detail={
                "project-name": [project.ref],
                "build-status": ["SUCCEEDED", "FAILED", "STOPPED", "TIMED_OUT", "FAULT"],
            },
        ),
        targets=[targets.LambdaFunction(trigger.function)],
    )
    acknowledge(rule, {"Serverless-EventBusDLQ": "An event that is lost ends the deployment after its hour."})
    built = cdk.CustomResource(
        scope,
        "Built",
        resource_type="Custom::WorkerImage",
        service_token=trigger.function.function_arn,
        service_timeout=cdk.Duration.hours(1),
        properties={"Variables": variables},
    )
    built.node.add_dependency(rule, trigger)
    return built

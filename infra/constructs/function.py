"""Defines a Lambda function of the service with its own role and log group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.bundling import service_code
from infra.config import Environment

_NEWER_IS_SLOWER = "Python 3.14 starts a quarter slower than 3.13 on Lambda, and 3.13 is supported until 2029."
FINDINGS = {
    "AwsSolutions-L1": _NEWER_IS_SLOWER,
    "Serverless-LambdaLatestVersion": _NEWER_IS_SLOWER,
}
NEVER_ASYNCHRONOUS = "Called by the gateway, by SQS or by another function that waits, never asynchronously."
RETENTION = {14: logs.RetentionDays.TWO_WEEKS, 90: logs.RetentionDays.THREE_MONTHS}


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """The properties that differ between functions; the handler is the import path in the shared code."""

    handler: str
    timeout_seconds: int
    memory_mb: int
    description: str
    goes_round: bool = False  # sends messages to itself on purpose, which Lambda would otherwise stop after 16


class ServiceFunction(Construct):
    """An arm64 function on Python 3.13, traced; `statements` are its only permissions.

    `never_lost` is the reason why it has no dead-letter queue.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        spec: FunctionSpec,
        code: lambda_.Code,
        environment: Mapping[str, str],
        statements: Sequence[iam.PolicyStatement],
        log_retention: logs.RetentionDays,
        never_lost: str,
    ) -> None:
        super().__init__(scope, id)
        log_group = logs.LogGroup(self, "Logs", retention=log_retention, removal_policy=cdk.RemovalPolicy.DESTROY)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(self.role)
        for statement in statements:
            self.role.add_to_policy(statement)
        self.function = lambda_.Function(
            self,
            "Function",
            description=spec.description,
            handler=spec.handler,
            code=code,
            role=self.role,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            timeout=cdk.Duration.seconds(spec.timeout_seconds),
            memory_size=spec.memory_mb,
            environment=dict(environment),
            log_group=log_group,
            recursive_loop=lambda_.RecursiveLoop.ALLOW if spec.goes_round else None,
        )
        acknowledge(self.function, {**FINDINGS, "Serverless-LambdaDLQ": never_lost})
        self._trace()

    def _trace(self) -> None:
        """Enable X-Ray, with its `*` in a policy of its own.

        An acknowledged finding hides every equal one in the same policy, and a wildcard for Bedrock must never go
        unseen.
        """
        cast(
            lambda_.CfnFunction, self.function.node.default_child
        ).tracing_config = lambda_.CfnFunction.TracingConfigProperty(mode="Active")
        policy = iam.Policy(
            self,
            "Tracing",
            roles=[self.role],
            statements=[
                iam.PolicyStatement(actions=["xray:PutTraceSegments", "xray:PutTelemetryRecords"], resources=["*"])
            ],
        )
        reason = "X-Ray knows no resources for these two actions; this policy holds only them."
        acknowledge(policy, {"AwsSolutions-IAM5[Resource::*]": reason})
        self.function.node.add_dependency(policy)  # else it may be made, and be called, before it may trace


class Functions:
    """Adds functions to a stack that share the service's code, its common variables and the age of their logs."""

    def __init__(self, scope: Construct, environment: Environment, settings: Mapping[str, str]) -> None:
        self._scope = scope
        self._code = service_code()
        self._variables = {
            "ENVIRONMENT": environment.name,
            "DEPLOYED": "1",
            "POWERTOOLS_SERVICE_NAME": "image-api",
            "POWERTOOLS_METRICS_NAMESPACE": "ImageApi",
            "LOG_LEVEL": settings.get("LOG_LEVEL", "INFO"),
        }
        self.log_retention = RETENTION[environment.log_retention_days]

    def add(
        self,
        id: str,
        spec: FunctionSpec,
        variables: Mapping[str, str],
        statements: Sequence[iam.PolicyStatement],
        *,
        never_lost: str = NEVER_ASYNCHRONOUS,
    ) -> ServiceFunction:
        return ServiceFunction(
            self._scope,
            id,
            spec=spec,
            code=self._code,
            environment={**self._variables, **variables},
            statements=statements,
            log_retention=self.log_retention,
            never_lost=never_lost,
        )

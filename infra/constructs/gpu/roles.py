"""Defines the roles of the GPU worker's image build and endpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra import grants
from infra.acknowledge import acknowledge
from infra.data_stack import DataStack


def build_role(
    scope: Construct, data: DataStack, source: assets.Asset, repository: ecr.Repository, log_group: logs.LogGroup
) -> tuple[iam.Role, iam.Policy]:
    """Return the role and its separate policy; a build depends on both."""
    account = {"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}}
    role = _role(scope, "codebuild.amazonaws.com", account, [
        grants.allow(("s3:GetObject", "s3:GetObjectVersion"), source.bucket.arn_for_objects(source.s3_object_key)),
        grants.allow(("s3:GetBucketAcl", "s3:GetBucketLocation"), source.bucket.bucket_arn),
        grants.allow(("logs:CreateLogStream", "logs:PutLogEvents"), log_group.log_group_arn),
        grants.allow(
            (
                "ecr:BatchCheckLayerAvailability",
                "ecr:CompleteLayerUpload",
                "ecr:DescribeImages",
                "ecr:InitiateLayerUpload",
                "ecr:PutImage",
                "ecr:UploadLayerPart",
            ),
            repository.repository_arn,
        ),
        *grants.objects(data, {grants.WEIGHTS: ("s3:PutObject", "s3:AbortMultipartUpload")}),
        grants.list_weights(data),
    ])  # fmt: skip
    acknowledge(role, grants.accepted_findings(data, (grants.WEIGHTS,)))
    return role, _registry_login(scope, role)


def endpoint_role(
    scope: Construct,
    data: DataStack,
    repository: ecr.Repository,
    log_group: logs.LogGroup,
    topics: Sequence[sns.Topic] | None,
) -> tuple[iam.Role, iam.Policy, iam.Policy]:
    """Return the role and its separate policies; a resource that needs the role depends on all."""
    # AWS does not document that SageMaker always sends the source account when it assumes the role; if so, it must
    # be this account.
    account = {"StringEqualsIfExists": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}}
    role = _role(scope, "sagemaker.amazonaws.com", account, [
        *grants.objects(data, {grants.WEIGHTS: ("s3:GetObject",)}),
        grants.list_weights(data),
        grants.allow(
            ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
            repository.repository_arn,
        ),
        grants.allow(
            ("logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"), log_group.log_group_arn
        ),
        *(_exchange(data, topics) if topics else []),
    ])  # fmt: skip
    acknowledge(role, grants.accepted_findings(data, (grants.WEIGHTS, *(grants.ASYNC if topics else ()))))
    login = _registry_login(scope, role)
    metrics = grants.allow(("cloudwatch:PutMetricData",), "*")
    metrics.add_condition("StringEquals", {"cloudwatch:namespace": ["AWS/SageMaker", "/aws/sagemaker/Endpoints"]})
    reason = "Metrics are no resources; the condition names the two namespaces, and this policy holds only this."
    return role, login, _alone(scope, "Metrics", role, metrics, reason)


def _exchange(data: DataStack, topics: Sequence[sns.Topic]) -> list[iam.PolicyStatement]:
    """Return statements for an asynchronous endpoint: reading requests, writing results and notifying."""
    given, *taken = grants.ASYNC
    return [
        *grants.objects(data, {given: ("s3:GetObject",)}),
        *grants.objects(data, dict.fromkeys(taken, ("s3:PutObject",))),
        grants.allow(("sns:Publish",), *(topic.topic_arn for topic in topics)),
    ]


def _role(
    scope: Construct, service: str, conditions: Mapping[str, object], statements: Sequence[iam.PolicyStatement]
) -> iam.Role:
    role = iam.Role(scope, "Role", assumed_by=iam.ServicePrincipal(service).with_conditions(conditions))
    for statement in statements:
        role.add_to_policy(statement)
    return role


def _registry_login(scope: Construct, role: iam.Role) -> iam.Policy:
    reason = "The login to the account's registry knows no resource; this policy holds only that."
    return _alone(scope, "RegistryLogin", role, grants.allow(("ecr:GetAuthorizationToken",), "*"), reason)


def _alone(scope: Construct, id: str, role: iam.Role, statement: iam.PolicyStatement, reason: str) -> iam.Policy:
    """Put a statement about `*` into its own policy, so that its acknowledged finding covers nothing else."""
    policy = iam.Policy(scope, id, roles=[role], statements=[statement])
    acknowledge(policy, {"AwsSolutions-IAM5[Resource::*]": reason})
    return policy

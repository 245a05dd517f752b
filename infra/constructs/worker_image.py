"""Builds the GPU worker's image and stages its models' weights in the account: deploying needs no Docker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra import grants
from infra.acknowledge import acknowledge
from infra.constructs.function import FunctionSpec, ServiceFunction
from infra.data_stack import DataStack

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "gpu_worker"
TRIGGER = FunctionSpec("index.handler", 60, 256, "Starts the build of the worker's image and reports its end")
BUILD_MINUTES = 55  # CloudFormation waits at most an hour
PYTHON = "3.12"

# An existing tag is the same image, and existing weights stay: an unchanged build takes a minute.
BUILD_SPEC = {
    "version": 0.2,
    "phases": {
        "install": {"runtime-versions": {"python": PYTHON}},
        "build": {
            "commands": [
                "mkdir ../context && cp -r . ../context/gpu_worker && cd ../context",
                'if aws ecr describe-images --repository-name "$REPOSITORY" --image-ids "imageTag=$IMAGE_TAG"; then'
                " echo unchanged; else"
                ' aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY_URI%%/*}"'
                ' && docker build -f gpu_worker/Dockerfile -t "$REPOSITORY_URI:$IMAGE_TAG" .'
                ' && docker push "$REPOSITORY_URI:$IMAGE_TAG"; fi',
                "grep -E '^(boto3|huggingface_hub)==' gpu_worker/requirements.txt > tools.txt",
                "pip install --quiet --disable-pip-version-check -r tools.txt",
                'python -m gpu_worker.models.weights stage "$WEIGHTS" $MODELS',
            ]
        },
    },
}


class WorkerImage(Construct):
    """`uri` names the image and `weights` their location; resources that need either depend on `built`."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        data: DataStack,
        models: Sequence[str],
        log_retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, id)
        source = assets.Asset(
            self, "Source", path=str(SOURCE), exclude=["**/__pycache__", "**/*.pyc", "*.md"], display_name="GPU worker"
        )
        self.repository = ecr.Repository(
            self,
            "Repository",
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,  # a tag is the hash of the image's sources
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=5)],
            removal_policy=cdk.RemovalPolicy.DESTROY,
            empty_on_delete=True,
        )
        self.weights = f"s3://{data.bucket.bucket_name}/{weights_folder(models)}"
        self.uri = self.repository.repository_uri_for_tag(source.asset_hash)
        log_group = logs.LogGroup(self, "Logs", retention=log_retention, removal_policy=cdk.RemovalPolicy.DESTROY)
        role, login = self._role(data, source, log_group)
        project = codebuild.CfnProject(
            self,
            "Project",
            description="Builds the image of the GPU worker and stages the weights of its models",
            service_role=role.role_arn,
            artifacts=codebuild.CfnProject.ArtifactsProperty(type="NO_ARTIFACTS"),
            source=codebuild.CfnProject.SourceProperty(
                type="S3",
                location=f"{source.s3_bucket_name}/{source.s3_object_key}",
                build_spec=json.dumps(BUILD_SPEC),
            ),
            environment=codebuild.CfnProject.EnvironmentProperty(
                type="LINUX_CONTAINER",
                compute_type="BUILD_GENERAL1_MEDIUM",  # 128 GB of disk; the image and the weights take a third
                image="aws/codebuild/amazonlinux-x86_64-standard:5.0",
                privileged_mode=True,  # for `docker build`
                environment_variables=[
                    codebuild.CfnProject.EnvironmentVariableProperty(name=name, value=value)
                    for name, value in {
                        "REPOSITORY": self.repository.repository_name,
                        "REPOSITORY_URI": self.repository.repository_uri,
                    }.items()
                ],
            ),
            logs_config=codebuild.CfnProject.LogsConfigProperty(
                cloud_watch_logs=codebuild.CfnProject.CloudWatchLogsConfigProperty(
                    status="ENABLED", group_name=log_group.log_group_name
                )
            ),
            timeout_in_minutes=BUILD_MINUTES,
            queued_timeout_in_minutes=5,
        )
        reason = "It leaves no artifact to be encrypted: the image and the weights are, at rest."
        acknowledge(project, {"AwsSolutions-CB4": reason})
        self.built = self._trigger(
            project, {"IMAGE_TAG": source.asset_hash, "WEIGHTS": self.weights, "MODELS": " ".join(models)}
        )
        self.built.node.add_dependency(role, login)

    def _role(self, data: DataStack, source: assets.Asset, log_group: logs.LogGroup) -> tuple[iam.Role, iam.Policy]:
        role = iam.Role(self, "Role", assumed_by=_of_this_account("codebuild.amazonaws.com"))
        for statement in (
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
                self.repository.repository_arn,
            ),
            *grants.staging(data),
        ):
            role.add_to_policy(statement)
        acknowledge(role, grants.accepted_findings(data, grants.WEIGHTS))
        return role, registry_login(self, role)

    def _trigger(self, project: codebuild.CfnProject, variables: dict[str, str]) -> cdk.CustomResource:
        trigger = ServiceFunction(
            self,
            "Trigger",
            spec=TRIGGER,
            code=lambda_.Code.from_inline((ROOT / "infra" / "functions" / "build_image.py").read_text("utf-8")),
            environment={"PROJECT": project.ref},
            statements=[grants.allow(("codebuild:StartBuild", "codebuild:BatchGetBuilds"), project.attr_arn)],
            log_retention=logs.RetentionDays.TWO_WEEKS,
            never_lost="CloudFormation gives a deployment up that it has no answer about within an hour.",
        )
        rule = events.Rule(
            self,
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
            self,
            "Built",
            resource_type="Custom::WorkerImage",
            service_token=trigger.function.function_arn,
            service_timeout=cdk.Duration.hours(1),
            properties={"Variables": variables},
        )
        built.node.add_dependency(rule, trigger)
        return built


def weights_folder(models: Sequence[str]) -> str:
    """Return the weights' location: an instance downloads all of it, so each choice of models has its own."""
    chosen = repr(sorted(models)).encode() + (SOURCE / "pipelines" / "table.py").read_bytes()
    return f"{grants.WEIGHTS.rstrip('*')}{hashlib.sha256(chosen).hexdigest()[:12]}"


def registry_login(scope: Construct, role: iam.Role) -> iam.Policy:
    """Let the role log in to ECR: a `*` in a policy of its own."""
    policy = iam.Policy(
        scope, "RegistryLogin", roles=[role], statements=[grants.allow(("ecr:GetAuthorizationToken",), "*")]
    )
    reason = "The login to the account's registry knows no resource; this policy holds only that."
    acknowledge(policy, {"AwsSolutions-IAM5[Resource::*]": reason})
    return policy


def _of_this_account(service: str) -> iam.PrincipalBase:
    return iam.ServicePrincipal(service).with_conditions({"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}})

"""Builds the GPU worker's image and stages its models' weights in the account: deploying needs no Docker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra import grants
from infra.acknowledge import acknowledge
from infra.constructs.gpu.build_trigger import build_trigger
from infra.constructs.gpu.roles import build_role
from infra.data_stack import DataStack

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "gpu_worker"
BUILD_MINUTES = 55  # CloudFormation waits an hour at the most
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
        role, login = build_role(self, data, source, self.repository, log_group)
        self.built = build_trigger(
            self,
            self._project(source, role, log_group),
            {"IMAGE_TAG": source.asset_hash, "WEIGHTS": self.weights, "MODELS": " ".join(models)},
        )
        self.built.node.add_dependency(role, login)

    def _project(self, source: assets.Asset, role: iam.Role, log_group: logs.LogGroup) -> codebuild.CfnProject:
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
                    for name, value in (
                        ("REPOSITORY", self.repository.repository_name),
                        ("REPOSITORY_URI", self.repository.repository_uri),
                    )
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
        return project


def weights_folder(models: Sequence[str]) -> str:
    """Return the weights' location: an instance downloads all of it, so each choice of models has its own."""
    chosen = repr(sorted(models)).encode() + (SOURCE / "pipelines" / "table.py").read_bytes()
    return f"{grants.WEIGHTS.rstrip('*')}{hashlib.sha256(chosen).hexdigest()[:12]}"

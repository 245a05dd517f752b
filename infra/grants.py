"""What each function may do, statement by statement."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_iam as iam

from infra.config import REGION_OF_BEDROCK
from infra.constructs.table import Table
from infra.data_stack import DataStack

IMAGE_MODELS: tuple[str, ...] = (
    "stability.stable-image-core-v1:1",
    "stability.stable-image-ultra-v1:1",
    "stability.sd3-5-large-v1:0",
)
TEXT_MODEL = "openai.gpt-oss-20b-1:0"  # compresses long prompts
OBJECTS: Mapping[str, tuple[str, ...]] = {
    "images/*": ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
    "raw/*": ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),  # what a provider answered, as it came
    "uploads/*": ("s3:GetObject", "s3:PutObject"),
}


def allow(actions: tuple[str, ...], *resources: str) -> iam.PolicyStatement:
    """One permission."""
    return iam.PolicyStatement(actions=list(actions), resources=list(resources))


def generation(data: DataStack, settings: Mapping[str, str]) -> list[iam.PolicyStatement]:
    """What it takes to accept a job, run it and keep its images."""
    return [
        _table(data.jobs, "GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"),
        _query(data.jobs),
        _table(data.images, "GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem"),
        _query(data.images),
        _table(data.projects, "GetItem", "PutItem", "UpdateItem"),
        _query(data.projects),
        _table(data.providers, "GetItem", "BatchGetItem", "UpdateItem"),
        _query(data.providers),
        *(allow(actions, f"{data.bucket_arn}/{prefix}") for prefix, actions in OBJECTS.items()),
        allow(("s3:ListBucket",), data.bucket_arn),  # else S3 answers 403, not 404, where no object is
        allow(("secretsmanager:GetSecretValue",), data.secret.secret_arn),
        allow(("bedrock:InvokeModel",), *model_arns(settings)),
    ]


def accepted_findings(data: DataStack) -> dict[str, str]:
    """The only wildcards among these statements: objects have no list of names."""
    reason = "Objects under one prefix of one bucket; which tenant may see which is decided by the service."
    return {f"AwsSolutions-IAM5[Resource::{data.bucket_arn_export}/{prefix}]": reason for prefix in OBJECTS}


def key_lookup(data: DataStack) -> list[iam.PolicyStatement]:
    """Finding the tenant of a key."""
    return [_table(data.keys, "GetItem")]


def closing(data: DataStack) -> list[iam.PolicyStatement]:
    """Giving a job that failed for good its final state."""
    return [_table(data.jobs, "GetItem", "PutItem", "UpdateItem")]


def model_arns(settings: Mapping[str, str]) -> list[str]:
    """The models by their full names: the region is the models', not the stack's, and an account has no part in it."""
    region = settings.get("BEDROCK_REGION", REGION_OF_BEDROCK)
    models = (*IMAGE_MODELS, settings.get("BEDROCK_TEXT_MODEL", TEXT_MODEL))
    return [f"arn:aws:bedrock:{region}::foundation-model/{model}" for model in models]


def _table(table: Table, *operations: str) -> iam.PolicyStatement:
    return allow(tuple(f"dynamodb:{operation}" for operation in operations), table.arn)


def _query(table: Table) -> iam.PolicyStatement:
    return allow(("dynamodb:Query",), table.arn, *table.index_arns)

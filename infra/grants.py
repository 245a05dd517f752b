"""What each function may do, statement by statement."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from infra.config import REGION_OF_BEDROCK
from infra.constructs.table import Table
from infra.data_stack import DataStack

IMAGE_MODELS: tuple[str, ...] = (
    "stability.stable-image-core-v1:1",
    "stability.stable-image-ultra-v1:1",
    "stability.sd3-5-large-v1:0",
)
# Stability's editing services: only to be called by the profile of the US, which may send a call to any of its regions.
EDITING_MODELS: tuple[str, ...] = (
    "stability.stable-image-inpaint-v1:0",
    "stability.stable-image-remove-background-v1:0",
)
REGIONS_OF_EDITING: tuple[str, ...] = ("us-east-1", "us-east-2", "us-west-2")
TEXT_MODEL = "openai.gpt-oss-20b-1:0"  # compresses long prompts
PROFILE = re.compile(r"\A(?:[a-z]{2}|apac|global|us-gov)\.")  # how an inference profile's id begins; a model's does not
IMAGES = "images/*"
OBJECTS: Mapping[str, tuple[str, ...]] = {
    IMAGES: ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
    "raw/*": ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),  # what a provider answered, as it came
    "uploads/*": ("s3:GetObject", "s3:PutObject"),
}

WEIGHTS = "weights/*"
# What the service and the asynchronous endpoint hand each other.
ASYNC: Mapping[str, tuple[str, ...]] = {
    "async/in/*": ("s3:PutObject",),
    "async/out/*": ("s3:GetObject",),
    "async/failed/*": ("s3:GetObject",),
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
        *models(settings),
    ]


def accepted_findings(data: DataStack, *prefixes: str) -> dict[str, str]:
    """The only wildcards among these statements, but for the next one's: objects have no list of names."""
    reason = "Objects under one prefix of one bucket; which tenant may see which is decided by the service."
    return {f"AwsSolutions-IAM5[Resource::{data.bucket_arn_export}/{prefix}]": reason for prefix in prefixes}


def accepted_models(settings: Mapping[str, str]) -> dict[str, str]:
    """Where the text model is called by an inference profile: the regions to which that may send a call."""
    if _profile(*text_model(settings)) is None:
        return {}
    reason = "The statement's condition lets this profile alone call it; AWS chooses the region among the profile's."
    return {f"AwsSolutions-IAM5[Resource::{behind_text(settings)}]": reason}


def key_lookup(data: DataStack) -> list[iam.PolicyStatement]:
    """Finding the tenant of a key."""
    return [_table(data.keys, "GetItem")]


def painting(data: DataStack, mode: str, endpoint_arn: str) -> list[iam.PolicyStatement]:
    """Calling the GPU endpoint."""
    if mode == "realtime":
        return [allow(("sagemaker:InvokeEndpoint",), endpoint_arn)]
    objects = [allow(actions, f"{data.bucket_arn}/{prefix}") for prefix, actions in ASYNC.items()]
    return [allow(("sagemaker:InvokeEndpointAsync",), endpoint_arn), *objects]


def fetching_results(data: DataStack, jobs_queue: str) -> list[iam.PolicyStatement]:
    """Finding the job of a work that is done, and having it attended."""
    return [
        _table(data.jobs, "GetItem"),
        _table(data.images, "BatchGetItem"),
        allow(("sqs:SendMessage",), jobs_queue),
    ]


def staging(data: DataStack) -> list[iam.PolicyStatement]:
    """Putting the weights of models into the bucket."""
    listing = allow(("s3:ListBucket",), data.bucket_arn)
    listing.add_condition("StringLike", {"s3:prefix": WEIGHTS})
    return [allow(("s3:PutObject", "s3:AbortMultipartUpload"), f"{data.bucket_arn}/{WEIGHTS}"), listing]


def closing(data: DataStack) -> list[iam.PolicyStatement]:
    """Giving a job that failed for good its final state: with its money, its event and the images it has so far."""
    return [
        _table(data.jobs, "GetItem", "PutItem", "UpdateItem"),
        _table(data.images, "BatchGetItem", "PutItem"),
    ]


def notifying(data: DataStack) -> list[iam.PolicyStatement]:
    """Telling a receiver how a job ended: its record, its images' links, the tenant's signing secret."""
    return [
        _table(data.jobs, "GetItem", "PutItem", "UpdateItem"),
        _table(data.images, "GetItem", "BatchGetItem"),
        _table(data.keys, "GetItem"),
        allow(("s3:GetObject",), f"{data.bucket_arn}/{IMAGES}"),  # a signed link may do what its signer may
    ]


def models(settings: Mapping[str, str]) -> list[iam.PolicyStatement]:
    """Bedrock's models by their full names: each where it is called, which no setting moves but the text model's.

    The region is the models', not the stack's, and an account has no part in the name of one that is not its own.
    """
    name, region = text_model(settings)
    profile = _profile(name, region)
    images = [_model(REGION_OF_BEDROCK, model) for model in IMAGE_MODELS]
    direct = name if name.startswith("arn:") else _model(region, name)
    found = [allow(("bedrock:InvokeModel",), *images, *([] if profile else [direct])), *_editing()]
    return [*found, *_through([profile], [behind_text(settings)])] if profile else found


def text_model(settings: Mapping[str, str]) -> tuple[str, str]:
    """The id or ARN of the model that shortens prompts, and where it is called; an empty setting is none."""
    return settings.get("BEDROCK_TEXT_MODEL") or TEXT_MODEL, settings.get("BEDROCK_REGION") or REGION_OF_BEDROCK


def behind_text(settings: Mapping[str, str]) -> str:
    """What the text model's inference profile calls: that model in any region, as AWS may add some to a profile.

    Which model an application's own profile calls cannot be told from its name.
    """
    name = text_model(settings)[0].rpartition("/")[2]
    return _model("*", name.partition(".")[2] if PROFILE.match(name) else "*")


def _profile(name: str, region: str) -> str | None:
    """The full name of an inference profile, where the name is of one."""
    if PROFILE.match(name):
        return f"arn:aws:bedrock:{region}:{cdk.Aws.ACCOUNT_ID}:inference-profile/{name}"
    return name if "inference-profile/" in name else None


def _editing() -> list[iam.PolicyStatement]:
    """The editing services, which only the profiles of the US call."""
    account = f"arn:aws:bedrock:{REGION_OF_BEDROCK}:{cdk.Aws.ACCOUNT_ID}:inference-profile/us"
    profiles = [f"{account}.{model}" for model in EDITING_MODELS]
    return _through(profiles, [_model(region, name) for region in REGIONS_OF_EDITING for name in EDITING_MODELS])


def _through(profiles: Sequence[str], models: Sequence[str]) -> list[iam.PolicyStatement]:
    """Models by inference profiles, wherever these send a call, but not directly."""
    behind = allow(("bedrock:InvokeModel",), *models)
    behind.add_condition("StringEquals", {"bedrock:InferenceProfileArn": list(profiles)})
    return [allow(("bedrock:InvokeModel",), *profiles), behind]


def _model(region: str, name: str) -> str:
    return f"arn:aws:bedrock:{region}::foundation-model/{name}"


def _table(table: Table, *operations: str) -> iam.PolicyStatement:
    return allow(tuple(f"dynamodb:{operation}" for operation in operations), table.arn)


def _query(table: Table) -> iam.PolicyStatement:
    return allow(("dynamodb:Query",), table.arn, *table.index_arns)

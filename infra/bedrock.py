"""Which models of Amazon Bedrock the functions may call, by their full names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from infra.config import REGION_OF_BEDROCK
from infra.grants import allow

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


def invoke_models(settings: Mapping[str, str]) -> list[iam.PolicyStatement]:
    """Each model where it is called, which no setting moves but the text model's.

    The region is the models', not the stack's, and an account has no part in the name of one that is not its own.
    """
    name, region = text_model(settings)
    profile = _profile(name, region)
    images = [_model(REGION_OF_BEDROCK, model) for model in IMAGE_MODELS]
    direct = name if name.startswith("arn:") else _model(region, name)
    found = [allow(("bedrock:InvokeModel",), *images, *([] if profile else [direct])), *_editing()]
    return [*found, *_through([profile], [behind_text(settings)])] if profile else found


def accepted_findings(settings: Mapping[str, str]) -> dict[str, str]:
    """Where the text model is called by an inference profile: the regions to which that may send a call."""
    if _profile(*text_model(settings)) is None:
        return {}
    reason = "The statement's condition lets this profile alone call it; AWS chooses the region among the profile's."
    return {f"AwsSolutions-IAM5[Resource::{behind_text(settings)}]": reason}


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

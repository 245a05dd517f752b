"""Grants calls to models of Amazon Bedrock, by their full names."""

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
# Stability's editing services, which can only be called by the US inference profile; it may use any of its regions.
EDITING_MODELS: tuple[str, ...] = (
    "stability.stable-image-inpaint-v1:0",
    "stability.stable-image-remove-background-v1:0",
)
REGIONS_OF_EDITING: tuple[str, ...] = ("us-east-1", "us-east-2", "us-west-2")
TEXT_MODEL = "openai.gpt-oss-20b-1:0"  # compresses long prompts
PROFILE = re.compile(r"\A(?:[a-z]{2}|apac|global|us-gov)\.")  # the prefix of an inference profile's id


def invoke_models(settings: Mapping[str, str]) -> list[iam.PolicyStatement]:
    """Return the statements for all models, in the regions where they are called, not the stack's.

    Settings choose only the text model and its region.
    """
    name, region = text_model(settings)
    profile = _profile(name, region)
    images = [_model(REGION_OF_BEDROCK, model) for model in IMAGE_MODELS]
    direct = name if name.startswith("arn:") else _model(region, name)
    found = [allow(("bedrock:InvokeModel",), *images, *([] if profile else [direct])), *_editing()]
    return [*found, *_through([profile], [behind_text(settings)])] if profile else found


def accepted_findings(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the finding of the regions' wildcard, if the text model is called by an inference profile."""
    if _profile(*text_model(settings)) is None:
        return {}
    reason = "The statement's condition lets this profile alone call it; AWS chooses the region among the profile's."
    return {f"AwsSolutions-IAM5[Resource::{behind_text(settings)}]": reason}


def text_model(settings: Mapping[str, str]) -> tuple[str, str]:
    """Return the id or ARN of the model that shortens prompts, and its region; an empty setting gives the default."""
    return settings.get("BEDROCK_TEXT_MODEL") or TEXT_MODEL, settings.get("BEDROCK_REGION") or REGION_OF_BEDROCK


def behind_text(settings: Mapping[str, str]) -> str:
    """Return the ARN of the models behind the text model's inference profile, in any region, since AWS may add regions.

    The name of an application inference profile does not contain its model, so for one it is any model.
    """
    name = text_model(settings)[0].rpartition("/")[2]
    return _model("*", name.partition(".")[2] if PROFILE.match(name) else "*")


def _profile(name: str, region: str) -> str | None:
    """Return the ARN of an inference profile; `None` for a model."""
    if PROFILE.match(name):
        return f"arn:aws:bedrock:{region}:{cdk.Aws.ACCOUNT_ID}:inference-profile/{name}"
    return name if "inference-profile/" in name else None


def _editing() -> list[iam.PolicyStatement]:
    """Return the statements for the editing services, which only US inference profiles can call."""
    account = f"arn:aws:bedrock:{REGION_OF_BEDROCK}:{cdk.Aws.ACCOUNT_ID}:inference-profile/us"
    profiles = [f"{account}.{model}" for model in EDITING_MODELS]
    return _through(profiles, [_model(region, name) for region in REGIONS_OF_EDITING for name in EDITING_MODELS])


def _through(profiles: Sequence[str], models: Sequence[str]) -> list[iam.PolicyStatement]:
    """Return statements that allow these models by these inference profiles, but not directly."""
    behind = allow(("bedrock:InvokeModel",), *models)
    behind.add_condition("StringEquals", {"bedrock:InferenceProfileArn": list(profiles)})
    return [allow(("bedrock:InvokeModel",), *profiles), behind]


def _model(region: str, name: str) -> str:
    return f"arn:aws:bedrock:{region}::foundation-model/{name}"

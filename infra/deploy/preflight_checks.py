"""Checks the prerequisites of a deployment one by one; nothing is created or changed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from infra import config
from infra.bedrock import EDITING_MODELS, IMAGE_MODELS, PROFILE, text_model

BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"
BOOTSTRAP_VERSION = 6  # the minimum for this library's templates
REFUSED = (BotoCoreError, ClientError)

Clients = Callable[..., Any]  # client(service, region_name=...)


@dataclass(frozen=True, slots=True)
class Finding:
    """`stop` prevents the deployment, `warn` does not; `todo` is the remedy."""

    level: Literal["ok", "warn", "stop"]
    what: str
    todo: str = ""


def credentials(client: Clients) -> Finding:
    """Return the account of the credentials."""
    try:
        found = client("sts").get_caller_identity()
    except REFUSED as error:
        return Finding(
            "stop",
            f"AWS cannot be called: {error}",
            "Put credentials and a region into the environment, or name a profile: AWS_PROFILE=... AWS_REGION=...",
        )
    return Finding("ok", f"account {found['Account']}, as {found['Arn']}")


def bootstrap(client: Clients) -> Finding:
    """Check whether the account and region have the CDK bootstrap, in a recent version."""
    todo = "Once per account and region: .venv/bin/python -m infra.deploy.cli bootstrap"
    ssm = client("ssm")
    try:
        version = int(ssm.get_parameter(Name=BOOTSTRAP)["Parameter"]["Value"])
    except ssm.exceptions.ParameterNotFound:
        return Finding("stop", "the account is not bootstrapped for the CDK in this region", todo)
    except REFUSED as error:
        return Finding("warn", f"the version of the CDK bootstrap could not be read: {error}", todo)
    if version < BOOTSTRAP_VERSION:
        return Finding("stop", f"the CDK bootstrap has version {version}, and {BOOTSTRAP_VERSION} is needed", todo)
    return Finding("ok", f"CDK bootstrap version {version}")


def outputs(client: Clients, stack: str) -> dict[str, str] | None:
    """Return the outputs of a stack; `None` if it does not exist or cannot be read."""
    try:
        [found] = client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except REFUSED:
        return None
    return {o["OutputKey"]: o["OutputValue"] for o in found.get("Outputs", [])}


def standing(client: Clients, stack: str) -> str:
    """Return the mode of a GPU stack's endpoint; `off` if there is none."""
    endpoint = (outputs(client, stack) or {}).get("Endpoint", "")
    mode = endpoint.rpartition("-")[2]
    return mode if mode in config.GPU_MODES else "off"


def secrets(client: Clients, secret: str | None) -> Finding:
    """Check which providers' keys are in the secret, which the first deployment creates."""
    todo = "Put the keys you have in: docs/deploy.md, Settings. A provider without a key is not offered."
    if secret is None:
        return Finding("warn", "the secret of the providers' keys is made by this deployment, empty", todo)
    try:
        text = client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    except REFUSED as error:
        return Finding("warn", f"the secret of the providers' keys could not be read: {error}", todo)
    there = sorted(name for name in config.SECRETS if f'"{name}"' in text)
    if not there:
        return Finding("warn", "the secret holds no key of a provider", todo)
    return Finding("ok", f"the secret holds {', '.join(there)}")


def models(client: Clients) -> Finding:
    """Check whether this account may call the catalogue's models on Bedrock."""
    return _access(client, config.REGION_OF_BEDROCK, IMAGE_MODELS, "image")


def text(client: Clients, settings: Mapping[str, str]) -> Finding:
    """Check whether it may call the model that shortens prompts; an ARN is in no list and is not checked."""
    name, region = text_model(settings)
    if name.startswith("arn:"):
        return Finding("ok", f"long prompts are shortened by {name}")
    found = _access(client, region, (PROFILE.sub("", name, count=1),), "text")
    return found if not found.todo else replace(found, todo=f"{found.todo} Until then, prompts are shortened by rule.")


def editing(client: Clients, gpu: bool) -> Finding:
    """Check whether it may call the editing services, which product backgrounds need without a GPU."""
    found = _access(client, config.REGION_OF_BEDROCK, EDITING_MODELS, "editing")
    if not found.todo:
        return found
    without = "product backgrounds are left to the GPU alone" if gpu else "there will be no product backgrounds"
    return Finding(found.level, found.what, f"{found.todo} Until then, {without}.")


def _access(client: Clients, region: str, models: Collection[str], kind: str) -> Finding:
    bedrock = client("bedrock", region_name=region)
    todo = f"Open each once in the Bedrock console of {region}, as somebody who may subscribe: docs/deploy.md."
    closed = []
    try:
        for model in models:
            found = bedrock.get_foundation_model_availability(modelId=model)
            open_ = found["agreementAvailability"]["status"] == "AVAILABLE"
            if not open_ or found["authorizationStatus"] != "AUTHORIZED" or found["regionAvailability"] != "AVAILABLE":
                closed.append(model)
    except REFUSED as error:
        return Finding("warn", f"access to Bedrock's {kind} models could not be checked: {error}", todo)
    if closed:
        return Finding("warn", f"Bedrock does not give access to {', '.join(closed)}", todo)
    return Finding("ok", f"Bedrock gives access to its {len(models)} {kind} model{'s' * (len(models) > 1)} in {region}")


def quotas(client: Clients, types: Collection[str]) -> dict[str, float] | None:
    """Return the quota of each instance type for endpoints, without types that the region does not offer.

    `None` if the quotas could not be read.
    """
    wanted = {f"{name} for endpoint usage": name for name in types}
    found: dict[str, float] = {}
    try:
        service = client("service-quotas")
        for listing in (
            "list_aws_default_service_quotas",
            "list_service_quotas",
        ):  # the applied quotas are last and override the defaults
            for page in service.get_paginator(listing).paginate(ServiceCode="sagemaker"):
                for quota in page["Quotas"]:
                    if quota["QuotaName"] in wanted:
                        found[wanted[quota["QuotaName"]]] = quota["Value"]
    except REFUSED:
        return None
    return found


def licences(models: Collection[str], context: Mapping[str, object]) -> Finding:
    """Check whether the deployer has accepted the licences of the models that require it."""
    accepted = {part.strip() for part in str(context.get("accept_licences", "")).split(",")}
    missing = [model for model in models if model in config.LICENCES and model not in accepted]
    if not missing:
        return Finding("ok", "the licences of the GPU's models are accepted")
    pages = ", ".join(config.LICENCES[model] for model in missing)
    return Finding(
        "stop",
        f"the licence of {', '.join(missing)} is not accepted",
        f"Read {pages} and, if you may use the model, add -c accept_licences={','.join(missing)}; or -c gpu=off.",
    )

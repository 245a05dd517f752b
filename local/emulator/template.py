"""Adapts the deployed templates to the local run, and deploys them on the emulator through CloudFormation."""

import contextlib
import copy
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.emulator.emulator import REGION
from local.emulator.keys import Keys

STACKS = ("data", "service")  # in the order of their references
ASSETS = "local-assets"
NOT_SERVED = {
    "AWS::SageMaker::": "SageMaker (GPU_WORKER_URL takes its place)",
    "AWS::XRay::": "X-Ray",
    "AWS::CloudFront::": "CloudFront",
    "AWS::ApplicationAutoScaling::": "auto scaling",
    "AWS::Logs::QueryDefinition": "saved queries of logs",
}
PATIENCE = 120.0


class DeployError(RuntimeError):
    """CloudFormation refused a template; the message names the resource and the reason."""


@dataclass(frozen=True)
class Deployed:
    """The properties of the deployed stacks that the run needs."""

    api_id: str
    stage: str
    service: Mapping[str, Any]  # the template as deployed
    not_served: tuple[str, ...]


def fit(template: Mapping[str, Any], code_key: str, environment: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return the template with local code and settings, and the names of the resources left out."""
    secrets = {name for name, r in template["Resources"].items() if r["Type"] == "AWS::SecretsManager::Secret"}
    fitted = _arns_of(copy.deepcopy(dict(template)), secrets)
    for section, names in (("Parameters", ["BootstrapVersion"]), ("Rules", ["CheckBootstrapVersion"])):
        for name in names:
            fitted.get(section, {}).pop(name, None)
    left_out: dict[str, list[str]] = {}  # by the reason
    resources: dict[str, Any] = fitted["Resources"]
    for name, resource in list(resources.items()):
        kind, reason = resource["Type"], not_served(resource)
        if reason or kind == "AWS::CDK::Metadata":
            del resources[name]
            if reason:
                left_out.setdefault(reason, []).append(name)
        elif not _without_tls_only(resource.get("Properties", {})):
            del resources[name]  # local endpoints use http, which a TLS-only policy would block
        elif kind == "AWS::Lambda::Function":
            properties = resource["Properties"]
            properties["Code"] = {"S3Bucket": ASSETS, "S3Key": code_key}
            properties.setdefault("Environment", {}).setdefault("Variables", {}).update(environment)
    for resource in resources.values():
        if "DependsOn" in resource:
            wanted = resource["DependsOn"]
            resource["DependsOn"] = [w for w in ([wanted] if isinstance(wanted, str) else wanted) if w in resources]
    return fitted, [f"{_named(names)} ({reason})" for reason, names in left_out.items()]


def _named(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _arns_of(node: Any, secrets: set[str]) -> Any:
    """Resolve references to secrets to the ARN, as AWS does; the emulator gives the name."""
    if isinstance(node, dict):
        if set(node) == {"Ref"} and node["Ref"] in secrets:
            return {"Fn::GetAtt": [node["Ref"], "Id"]}
        return {key: _arns_of(value, secrets) for key, value in node.items()}
    return [_arns_of(value, secrets) for value in node] if isinstance(node, list) else node


def not_served(resource: Mapping[str, Any]) -> str | None:
    """Return the service that a resource needs and the emulator lacks, or None."""
    if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]:
        return "alarm over several metrics"
    return next((why for prefix, why in NOT_SERVED.items() if resource["Type"].startswith(prefix)), None)


def _without_tls_only(properties: dict[str, Any]) -> bool:
    """Remove the statements that deny plain http. Returns False if no statement is left."""
    document = properties.get("PolicyDocument")
    if not isinstance(document, dict) or not isinstance(document.get("Statement"), list):
        return True
    kept = [s for s in document["Statement"] if "aws:SecureTransport" not in json.dumps(s.get("Condition", {}))]
    document["Statement"] = kept
    return bool(kept)


class Deployer:
    """Deploys through the emulator's CloudFormation and S3."""

    def __init__(self, url: str, keys: Keys) -> None:
        self.s3, self.cloudformation = clients(url, keys, "s3", "cloudformation")

    def deploy(self, templates: Path, code: Path, environment: Mapping[str, str]) -> Deployed:
        """Create or update every stack. Raises DeployError with the failed resource and the reason."""
        with contextlib.suppress(self.s3.exceptions.BucketAlreadyOwnedByYou):
            self.s3.create_bucket(Bucket=ASSETS)
        self.s3.put_object(Bucket=ASSETS, Key=code.name, Body=code.read_bytes())
        missing: list[str] = []
        service: dict[str, Any] = {}
        for stack in STACKS:
            source = templates / f"{stack}.json"
            if not source.is_file():
                raise DeployError(f"{source} is missing; `make snapshot` writes it.")
            service, left_out = fit(json.loads(source.read_text("utf-8")), code.name, environment)
            missing += left_out
            self._deploy(f"image-api-{stack}", json.dumps(service).encode())
        api_id = self._physical_id("AWS::ApiGateway::RestApi")
        stage = next(r for r in service["Resources"].values() if r["Type"] == "AWS::ApiGateway::Stage")
        return Deployed(api_id, stage["Properties"]["StageName"], service, tuple(missing))

    def _deploy(self, name: str, body: bytes) -> None:
        key = f"{hashlib.sha256(body).hexdigest()[:32]}.json"
        self.s3.put_object(Bucket=ASSETS, Key=key, Body=body)
        arguments = {
            "StackName": name,
            "TemplateURL": f"{self.s3.meta.endpoint_url}/{ASSETS}/{key}",  # a body is limited to 51,200 bytes
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        }
        error = self.cloudformation.exceptions.ClientError
        started = time.time()
        try:
            try:
                stack = self.cloudformation.update_stack(**arguments)["StackId"]
            except error as refused:
                if "No updates are to be performed" in str(refused):
                    return
                if "does not exist" not in str(refused) and "ROLLBACK_COMPLETE" not in str(refused):
                    raise
                stack = self.cloudformation.create_stack(**arguments, OnFailure="DELETE")["StackId"]
        except error as refused:
            raise DeployError(f"The stack {name} was refused: {refused.response['Error']['Message']}") from refused
        status = ""
        while time.time() - started < PATIENCE:
            found = [s for s in self._stacks() if s["StackName"] == name]
            status = found[0]["StackStatus"] if found else "DELETE_COMPLETE"
            if not status.endswith("_IN_PROGRESS"):
                break
            time.sleep(0.03)
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            reasons = "\n".join(self._failures(stack, started)) or f"It stands at {status or 'no status'}."
            raise DeployError(
                f"The stack {name} could not be deployed on the emulator.\n{reasons}\n"
                "If the data is of an older version, set DATA_DIR to a new folder."
            )

    def _stacks(self) -> list[dict[str, Any]]:
        return list(self.cloudformation.describe_stacks()["Stacks"])

    def _failures(self, stack: str, since: float) -> Iterator[str]:
        with contextlib.suppress(self.cloudformation.exceptions.ClientError):
            for event in reversed(self.cloudformation.describe_stack_events(StackName=stack)["StackEvents"]):
                if event["ResourceStatus"].endswith("_FAILED") and event["Timestamp"].timestamp() >= since - 1:
                    reason = event.get("ResourceStatusReason", "no reason given")
                    yield f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}"

    def _physical_id(self, kind: str) -> str:
        resources = self.cloudformation.describe_stack_resources(StackName="image-api-service")["StackResources"]
        return str(next(r["PhysicalResourceId"] for r in resources if r["ResourceType"] == kind))


def clients(url: str, keys: Keys, *services: str) -> list[Any]:
    """Return boto3 clients of the emulator that use nothing of the user's own AWS configuration."""
    import boto3
    import botocore.session
    from botocore.config import Config

    core = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),  # each: name in a file, name in the environment, default, conversion
            "config_file": (None, None, os.devnull, None),
            "credentials_file": (None, None, os.devnull, None),
        }
    )
    session = boto3.Session(keys.access_key_id, keys.secret, region_name=REGION, botocore_session=core)
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"}, proxies={}, retries={"mode": "standard"})
    return [session.client(service, endpoint_url=url, config=config) for service in services]

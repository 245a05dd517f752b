"""Starts a build when CloudFormation requests one, and reports its result to CloudFormation.

A build takes longer than a function's timeout, so no function waits for it: CloudFormation's callback URL is passed as
a variable of the build, and is read from the event of the build's end.
"""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

import boto3

CALLBACK = "CLOUDFORMATION_CALLBACK"
PHYSICAL_ID = "worker-image"


def handler(event: dict[str, Any], _context: Any) -> None:
    """Handle a request of CloudFormation or an event of CodeBuild."""
    if "RequestType" in event:
        _asked(event)
    else:
        _ended(event["detail"])


def _asked(event: dict[str, Any]) -> None:
    callback = {name: event[name] for name in ("ResponseURL", "StackId", "RequestId", "LogicalResourceId")}
    if event["RequestType"] == "Delete":
        return _answer(callback, "SUCCESS", "the image goes with its repository")
    try:
        given = {**event["ResourceProperties"]["Variables"], CALLBACK: json.dumps(callback)}
        variables = [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in given.items()]
        boto3.client("codebuild").start_build(
            projectName=os.environ["PROJECT"],
            environmentVariablesOverride=variables,
            idempotencyToken=event["RequestId"],
        )
    except Exception as error:  # noqa: BLE001 - CloudFormation would wait an hour for an answer
        _answer(callback, "FAILED", f"the build could not be started: {error}")


def _ended(detail: dict[str, Any]) -> None:
    about = detail.get("additional-information", {})
    variables = _named(about.get("environment", {}).get("environment-variables", []))
    log = about.get("logs", {}).get("deep-link", detail["build-id"])
    if CALLBACK not in variables:  # the event's fields are not guaranteed; an error here is retried
        build_id = detail["build-id"].rpartition("/")[2]  # of arn:aws:codebuild:REGION:ACCOUNT:build/PROJECT:ID
        [build] = boto3.client("codebuild").batch_get_builds(ids=[build_id])["builds"]
        variables = _named(build["environment"]["environmentVariables"])
        log = build.get("logs", {}).get("deepLink", log)
    if CALLBACK not in variables:
        return  # the build was started by a person
    status = detail["build-status"]
    said = f"the build ended as {status}; its log: {log}"
    _answer(json.loads(variables[CALLBACK]), "SUCCESS" if status == "SUCCEEDED" else "FAILED", said)


def _named(variables: list[dict[str, str]]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in variables}


def _answer(callback: dict[str, str], status: str, reason: str) -> None:
    same = {name: callback[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    body = json.dumps({**same, "PhysicalResourceId": PHYSICAL_ID, "Status": status, "Reason": reason[:1000]}).encode()
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's own address
        callback["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""}
    )
    urllib.request.urlopen(request, timeout=20).close()  # noqa: S310 - as above

"""Checks, before anything is created, whether a deployment can succeed.

`python -m infra.deploy.preflight [-c NAME=...]`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from infra import config
from infra.build import ROOT
from infra.deploy import preflight_checks as checks
from infra.deploy.preflight_checks import Clients, Finding

MARKS = {"ok": "ok  ", "warn": "note", "stop": "STOP"}
QUOTAS = "https://console.aws.amazon.com/servicequotas/home/services/sagemaker/quotas"


@dataclass(frozen=True, slots=True)
class Report:
    """The findings. `changes` must be added to the deployer's CDK context."""

    findings: tuple[Finding, ...]
    changes: Mapping[str, str]
    standing: str = "off"  # the mode of the existing GPU endpoint

    @property
    def stops(self) -> bool:
        return any(finding.level == "stop" for finding in self.findings)

    def __str__(self) -> str:
        lines = []
        for finding in self.findings:
            lines += [f"{MARKS[finding.level]}  {finding.what}", *([f"      {finding.todo}"] if finding.todo else [])]
        return "\n".join(lines)


def examine(client: Clients, given: Mapping[str, str]) -> Report:
    """Run all applicable checks. `given` is the deployer's context, which overrides that of `cdk.json`."""
    context = {**json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"], **given}
    environment, settings = config.environment(str(context["env"])), config.settings(context)
    account = checks.credentials(client)
    if account.level == "stop":
        return Report((account,), {})
    data = checks.outputs(client, f"image-api-{environment.name}-data")
    gpu, changes = _gpu(client, environment, context, given)
    painted_here = {**context, **changes}
    findings = (
        account,
        checks.bootstrap(client),
        checks.models(client),
        checks.editing(client, gpu=config.gpu_mode(painted_here) != "off"),
        checks.text(client, settings),
        checks.secrets(client, (data or {}).get("Secret")),
        *gpu,
    )
    return Report(findings, changes, checks.standing(client, f"image-api-{environment.name}-gpu"))


def _gpu(
    client: Clients, environment: config.Environment, context: Mapping[str, object], given: Mapping[str, str]
) -> tuple[list[Finding], dict[str, str]]:
    """Return the GPU's findings and the changes of the context: by default an account without GPUs gets none."""
    mode, figures = config.gpu_mode(context), config.gpu(environment, context)
    stack = f"image-api-{environment.name}-gpu"
    stands = checks.outputs(client, stack) is not None
    if mode == "off":
        if not stands:
            return [Finding("ok", "without a GPU, as asked for")], {}
        todo = f"Remove it first: .venv/bin/python -m infra.deploy.cli destroy {stack} -c env={environment.name}"
        return [Finding("stop", f"gpu=off, but the stack {stack} stands, and its instances are paid", todo)], {}
    allowed = checks.quotas(client, figures.instance_types)
    if allowed is None:
        todo = "Allow servicequotas:ListServiceQuotas and ListAWSDefaultServiceQuotas. Without a quota, use -c gpu=off."
        return [Finding("warn", "the quotas of GPU instances could not be read", todo), _licences(figures, context)], {}
    usable = [kind for kind in figures.instance_types if allowed.get(kind, 0) >= 1]
    if not usable:
        return _without(figures, allowed, {} if "gpu" in given or stands else {"gpu": "off"})
    findings = [Finding("ok", f"gpu={mode}, on {', then '.join(usable)}")]
    if few := [kind for kind in usable if allowed[kind] < figures.max_instances]:
        most = f"{figures.max_instances} instances"
        findings.append(Finding("warn", f"the quota of {', '.join(few)} is below {most}", f"Ask for more: {QUOTAS}"))
    changes = {}
    if len(usable) < len(figures.instance_types):
        left = [kind for kind in figures.instance_types if kind not in usable]
        findings.append(Finding("warn", f"there is no quota for {', '.join(left)}", f"Left out. Ask for it: {QUOTAS}"))
        changes = {"gpu_instance_types": ",".join(usable)}
    return [*findings, _licences(figures, context)], changes


def _without(
    figures: config.Gpu, allowed: Mapping[str, float], changes: dict[str, str]
) -> tuple[list[Finding], dict[str, str]]:
    absent = [kind for kind in figures.instance_types if kind not in allowed]
    why = f"no quota for any of {', '.join(figures.instance_types)} ('for endpoint usage')"
    why += f"; this region does not offer {', '.join(absent)}" if absent else ""
    ask = f"Ask for a quota of 1 or more: {QUOTAS}"
    if changes:
        return [Finding("warn", f"deploying without a GPU: {why}", f"{ask} and deploy again.")], changes
    return [Finding("stop", why, f"{ask}; or choose other types: -c gpu_instance_types=...")], {}


def _licences(figures: config.Gpu, context: Mapping[str, object]) -> Finding:
    return checks.licences(figures.models, context)


def context_of(arguments: Sequence[str]) -> dict[str, str]:
    """Return the CDK context of a command line."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("-c", "--context", action="append", default=[])
    pairs = parser.parse_known_args(arguments)[0].context
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


def run(arguments: Sequence[str]) -> Report:
    """Examine the account of the current credentials, and print the findings."""
    import boto3

    report = examine(boto3.session.Session().client, context_of(arguments))
    print(report, flush=True)
    return report


if __name__ == "__main__":
    raise SystemExit(1 if run(sys.argv[1:]).stops else 0)

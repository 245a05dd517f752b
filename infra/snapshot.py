"""Writes the templates that the local stack deploys without Node and CDK: `python -m infra.snapshot`."""

from __future__ import annotations

import json
import tempfile
from typing import Any

from infra.build import ROOT, build

FOLDER = ROOT / "local" / "templates"
CODE = {"S3Bucket": "image-api-code", "S3Key": "lambdas.zip"}  # where the local stack stores its package
NOT_BUNDLED: dict[str, object] = {"aws:cdk:bundling-stacks": []}


def templates() -> dict[str, str]:
    """Return the text of each template of the environment `dev`, by file name."""
    with tempfile.TemporaryDirectory() as folder:
        assembly = build({"env": "dev", "gpu": "off", **NOT_BUNDLED}, outdir=folder).synth()
        stacks = {stack.stack_name.rpartition("-")[2]: stack.template for stack in assembly.stacks}
    return {f"{name}.json": _text(normalised(template)) for name, template in stacks.items()}


def normalised(template: dict[str, Any]) -> dict[str, Any]:
    """Return the template without the CDK bootstrap's parts and the code's hash."""
    kept = {key: value for key, value in template.items() if key not in ("Parameters", "Rules")}
    for resource in kept["Resources"].values():
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Code"] = CODE
    return kept


def _text(template: dict[str, Any]) -> str:
    return json.dumps(template, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in templates().items():
        (FOLDER / name).write_text(text, "utf-8")
        print(f"wrote {(FOLDER / name).relative_to(ROOT)}")

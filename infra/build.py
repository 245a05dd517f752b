"""Builds the CDK app of one environment: its stacks, checked by both cdk-nag packs."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import aws_cdk as cdk
import cdk_nag

from infra import config
from infra.data_stack import DataStack
from infra.gpu_stack import GpuStack
from infra.service_stack import ServiceStack

ROOT = Path(__file__).parent.parent


def build(context: Mapping[str, object] | None = None, outdir: str | None = None) -> cdk.App:
    """Build the app of the context's environment (`env`). The CDK CLI's own `-c` values override `context`."""
    defaults = json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"]
    app = cdk.App(analytics_reporting=False, outdir=outdir, context={**defaults, **(context or {})})
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(), cdk_nag.ServerlessChecks())
    chosen = config.environment(str(app.node.get_context("env")))
    environment = replace(chosen, thresholds=config.thresholds(chosen, app.node.get_all_context()))
    settings = config.settings(app.node.get_all_context())
    mode = config.gpu_mode(app.node.get_all_context())
    data = DataStack(app, f"image-api-{environment.name}-data", environment=environment, settings=settings)
    service = ServiceStack(
        app,
        f"image-api-{environment.name}-service",
        environment=environment,
        settings=settings,
        data=data,
        gpu_mode=config.gpu_serving(app.node.get_all_context()),
        with_gpu=mode != "off",
    )
    if mode != "off":
        gpu = GpuStack(
            app,
            f"image-api-{environment.name}-gpu",
            environment=environment,
            mode=mode,
            gpu=config.gpu(environment, app.node.get_all_context()),
            settings=settings,
            data=data,
            service=service,
        )
        gpu.add_stack_dependency(service)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the templates: `python app.py [-c env=prod] [-c NAME=value ...]`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("-c", "--context", action="append", default=[], metavar="KEY=VALUE")
    pairs = parser.parse_args(arguments).context
    context = {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
    # the CLI sets CDK_OUTDIR; without a folder CDK would choose a temporary one
    build(context, outdir=os.environ.get("CDK_OUTDIR", "cdk.out")).synth()

"""Opens the stack of an operator's command: a deployed one, or the one that `make run` serves."""

from __future__ import annotations

import configparser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any


class CommandError(Exception):
    """The command cannot be carried out. The message is for the operator."""


@dataclass(frozen=True, slots=True)
class OperatorsStack:
    """`client` creates a client of an AWS service; `outputs` are the data stack's."""

    client: Callable[[str], Any]
    outputs: Mapping[str, str]


def stack_of(stack: str, data_dir: Path) -> OperatorsStack:
    """Open a deployed stack, with the caller's AWS credentials, or the running local one. Raises CommandError."""
    import boto3
    import botocore.session
    from botocore.config import Config

    session: Any
    if stack != "local":
        name, session, extra = f"image-api-{stack}-data", boto3.Session(), {}
    else:
        kept = data_dir / "emulator.port"  # written by the local run
        if not kept.is_file():
            raise CommandError(f"No local stack has run on {data_dir}. Start one: make run")
        config = Config(proxies={}, connect_timeout=2, retries={"total_max_attempts": 1})
        made = configparser.RawConfigParser()
        made.read(data_dir / "emulator.credentials", "utf-8")  # written by the local run
        if not made.has_section("default"):
            raise CommandError(f"{data_dir} has no credentials of a local stack. Start it once more: make run")
        known = made["default"]
        core = botocore.session.Session({"profile": (None, None, None, None)})  # without the user's AWS profile
        session = boto3.Session(
            known["aws_access_key_id"], known["aws_secret_access_key"], region_name="us-east-1", botocore_session=core
        )
        name = "image-api-data"
        extra = {"endpoint_url": f"http://127.0.0.1:{kept.read_text('utf-8').strip()}", "config": config}
    client = partial(session.client, **extra)
    answer = client("cloudformation").describe_stacks(StackName=name)
    outputs = {o["OutputKey"]: o["OutputValue"] for o in answer["Stacks"][0].get("Outputs", [])}
    return OperatorsStack(client, outputs)


def reason(error: Exception, stack: str, data_dir: str) -> str:
    """Return why the stack could not be reached, for the operator."""
    if stack == "local":
        return f"The local stack on {data_dir} does not answer. Is `make run` running? ({error})"
    return f"The stack {stack} could not be reached with these AWS credentials: {error}"

"""Adds older jobs to the daily sums, for the operator: `python -m lambdas.backfill [--stack dev]`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from lambdas.adapters.dynamodb.backfill import backfill
from lambdas.domain.errors import Unavailable
from lambdas.operators_stack import CommandError, reason, stack_of


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser("backfill", description="Add older jobs to the daily sums.")
    parser.add_argument("--stack", default="local", choices=("local", "dev", "prod"), help="default: local")
    parser.add_argument("--data-dir", default=environ.get("DATA_DIR") or "data", help="of the local stack")
    options = parser.parse_args(arguments)
    try:
        stack = stack_of(options.stack, Path(options.data_dir))
        added = backfill(stack.client("dynamodb"), stack.outputs["JobsTable"])
    except CommandError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (BotoCoreError, ClientError, Unavailable) as error:
        sys.stderr.write(f"{reason(error, options.stack, options.data_dir)}\n")
        return 1
    sys.stderr.write(f"{added} jobs were added to the daily sums.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))

"""Deploys, if the account is ready for it: `python -m infra.deploy [-c KEY=VALUE ...] [any option of cdk deploy]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from infra import cli, preflight


def main(arguments: Sequence[str]) -> int:
    """The exit status: 1 where nothing was begun."""
    report = preflight.run(arguments)
    if report.stops:
        print("Nothing was deployed.", file=sys.stderr)
        return 1
    changes = [word for key, value in report.changes.items() for word in ("-c", f"{key}={value}")]
    return cli.main(["deploy", "--all", *arguments, *changes])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

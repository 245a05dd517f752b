"""Deploys, if the account is ready for it: `python -m infra.deploy [-c KEY=VALUE ...] [any option of cdk deploy]`.

The service never points at a GPU endpoint that is not there. An endpoint takes an hour to come up, or may not: the
service goes first and is served by what stands, and once more when the endpoint is there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from infra import config
from infra.build import ROOT
from infra.deploy import cli, preflight


def main(arguments: Sequence[str]) -> int:
    """The exit status: 1 where nothing was begun."""
    report = preflight.run(arguments)
    if report.stops:
        print("Nothing was deployed.", file=sys.stderr)
        return 1
    context = {**json.loads((ROOT / "cdk.json").read_text("utf-8"))["context"], **preflight.context_of(arguments)}
    context |= report.changes
    changes = [word for key, value in report.changes.items() for word in ("-c", f"{key}={value}")]
    given = [*arguments, *changes]
    if config.gpu_mode(context) in ("off", report.standing):
        return cli.main(["deploy", "--all", *given])
    status = cli.main(["deploy", "--all", *given, "-c", f"gpu_serving={report.standing}"])
    if status:
        return status
    return cli.main(["deploy", "--exclusively", f"image-api-{context['env']}-service", *given])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

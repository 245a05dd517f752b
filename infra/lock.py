"""Writes the lock of the functions' package, each wheel with its hash: `python -m infra.lock`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from infra.build import ROOT
from infra.bundling import LOCK, PIP, PIP_TARGET, SOURCE

HEAD = (
    "# Written by `python -m infra.lock`: all that the functions need, for Lambda's machine, and nothing else passes.\n"
)


def locked() -> str:
    """Return the lock of the requirements, at the versions of constraints.txt."""
    wanted = ("-r", str(SOURCE / "requirements.txt"), "-c", str(ROOT / "constraints.txt"))
    report = ("--dry-run", "--ignore-installed", "--report", "-", "--target", "nowhere")
    command = (*PIP, *PIP_TARGET, *wanted, *report)
    answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own words
    return text_of(json.loads(answer.stdout))


def text_of(report: dict[str, Any]) -> str:
    """Return the lock of pip's installation report."""
    lines = []
    for found in report["install"]:
        about, archive = found["metadata"], found["download_info"]["archive_info"]
        lines.append(f"{about['name'].lower()}=={about['version']} --hash=sha256:{archive['hashes']['sha256']}\n")
    return HEAD + "".join(sorted(lines))


if __name__ == "__main__":
    LOCK.write_text(locked(), "utf-8")
    print(f"wrote {LOCK.relative_to(ROOT)}", file=sys.stderr)

"""Tries every mutation on a copy of the tree: `python -m tests.mutations [WORD ...]`, those whose name has a word.

Prints killed or survived for each. The exit status is 1 where one survived.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.mutations import MUTATIONS
from tests.mutations.mutation import ROOT, Mutation

SECONDS: Final = 300  # for one mutation's tests; a mutation that makes them wait for longer is killed
FAILED: Final = 1  # pytest's exit status where tests failed; others say that they could not be run


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("words", nargs="*", help="of the names of the mutations to try; all by default")
    words = parser.parse_args(arguments).words
    chosen = [m for m in MUTATIONS if not words or any(word in m.name for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".*", "__pycache__", "data", "build", "cdk.out"))
        status, said = _run(tree, sorted({test for mutation in chosen for test in mutation.tests}))
        if status:
            print(f"{said}\nThe tests do not pass as the code stands.", file=sys.stderr)  # noqa: T201
            return 1
        survived = [mutation for mutation in chosen if not _killed(mutation, tree)]
    _show(f"{len(survived)} of {len(chosen)} survived")
    return int(bool(survived))


def _killed(mutation: Mutation, tree: Path) -> bool:
    path = tree / "lambdas" / mutation.file
    sound = path.read_text("utf-8")
    path.write_text(mutation.applied(tree), "utf-8")
    status, _ = _run(tree, mutation.tests, SECONDS)
    path.write_text(sound, "utf-8")
    _show(mutation.name, {0: "SURVIVED", FAILED: "killed"}.get(status, f"NOT RUN: pytest ended with {status}"))
    return status == FAILED


def _run(tree: Path, tests: Iterable[str], seconds: float | None = None) -> tuple[int, str]:
    """Pytest's exit status and output, from a process without byte code: a file may change twice within a second."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *(f"tests/{t}" for t in tests)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=tree, env=environment, check=False, timeout=seconds, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        return FAILED, "took too long"
    return done.returncode, done.stdout + done.stderr


def _show(name: str, what: str = "") -> None:
    print(f"{name:64} {what}".rstrip(), flush=True)  # noqa: T201


if __name__ == "__main__":
    raise SystemExit(main())

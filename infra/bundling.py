"""Packages `lambdas/` and its dependencies for the Lambda runtime with pip, without Docker, on any machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_

SOURCE = Path(__file__).parent.parent / "lambdas"
LOCK = SOURCE / "requirements.lock"
RUNTIME = "3.13"
PIP = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check")
PIP_TARGET = (
    "--platform=manylinux2014_aarch64",
    "--platform=manylinux_2_28_aarch64",
    "--implementation=cp",
    f"--python-version={RUNTIME}",
    "--only-binary=:all:",
    "--no-compile",  # Lambda's interpreter cannot use this one's byte code
)
# models_check is the operator's tool, and imports `requests`, which is not in the package.
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "requirements.*", "*.md", "models_check")


def service_code() -> lambda_.Code:
    """Return the asset that all functions share."""
    interpreter = runtime_interpreter()
    return lambda_.Code.from_asset(
        str(SOURCE),
        exclude=["**/__pycache__"],
        asset_hash_type=cdk.AssetHashType.CUSTOM,
        asset_hash=source_hash(compiled=interpreter is not None),
        bundling=cdk.BundlingOptions(
            image=cdk.DockerImage.from_registry("scratch"),  # required, never used
            local=LocalBundling(interpreter),
        ),
    )


@jsii.implements(cdk.ILocalBundling)
class LocalBundling:
    """Fills CDK's output folder; an error stops the synthesis."""

    def __init__(self, interpreter: str | None) -> None:
        self._interpreter = interpreter

    def try_bundle(self, output_dir: str, *_: Any, **__: Any) -> bool:
        """Bundle the asset; CDK calls it unless the asset already exists."""
        bundle(Path(output_dir), self._interpreter)
        return True


def bundle(target: Path, interpreter: str | None) -> None:
    """Write dependencies, source and byte code under `target`."""
    install(target)
    shutil.copytree(SOURCE, target / SOURCE.name, ignore=IGNORED)
    if interpreter:
        compile_all(target, interpreter)
        return
    print(
        f"Note: no Python {RUNTIME} on this machine, so the package holds no byte code and cold starts will take "
        f"about twice as long. Put python{RUNTIME} on the PATH and synthesise again.",
        file=sys.stderr,
    )


def install(target: Path) -> None:
    """Install the dependencies for Lambda's platform: exactly the wheels of the lock."""
    exact = ("--require-hashes", "--no-deps", "-r", str(LOCK))
    _run(*PIP, *PIP_TARGET, *exact, "--target", str(target))
    shutil.rmtree(target / "bin", ignore_errors=True)


def compile_all(target: Path, interpreter: str) -> None:
    """Compile byte code that Python loads without a check: file times on Lambda differ, so a check would discard it."""
    where = ("-s", str(target), "-p", "/var/task", str(target))
    _run(interpreter, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", *where)


def runtime_interpreter() -> str | None:
    """Return a Python of the runtime's version: this one, or one on the PATH that runs (a pyenv shim may not)."""
    for candidate in (sys.executable, shutil.which(f"python{RUNTIME}")):
        if candidate and _version(candidate) == RUNTIME:
            return candidate
    return None


def source_hash(*, compiled: bool) -> str:
    """Return a hash that changes with everything that the package is made from."""
    digest = hashlib.sha256(repr((PIP_TARGET, RUNTIME if compiled else None)).encode())
    for path in _sources():
        digest.update(f"\0{path.relative_to(SOURCE).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    return (path for path in sorted(SOURCE.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)


def _version(interpreter: str) -> str | None:
    probe = [interpreter, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    answer = subprocess.run(probe, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    return answer.stdout.strip() if answer.returncode == 0 else None


def _run(*command: str) -> None:
    # the order of sets in byte code depends on their hashes
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    subprocess.run(command, check=True, stdout=sys.stderr, env=environment)  # noqa: S603 - our own words

"""Runs the project's verbs and installs the packages that they need; uses only the standard library."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"

CHECK = ["ruff check .", "ruff format --check .", "mypy", "lint-imports"]
UNIT = "python -m pytest -n auto --dist loadgroup -m 'not e2e and not cdk and not gpu'"
QUICK = "python -m pytest -n auto --dist loadgroup -m 'not e2e and not cdk and not gpu and not slow'"
STACK_TESTS = "tests/benchmarks tests/e2e tests/infra/deploy tests/ledger tests/local"
STACK = f"python -m pytest -n 2 --dist loadfile -m '(e2e or cdk) and not gpu and not alone' {STACK_TESTS}"
CROWD = f"python -m pytest -m 'alone and e2e and not gpu' {STACK_TESTS}"
VERBS: dict[str, list[str]] = {
    "run": [],
    "quick": [*(command for command in CHECK if command != "mypy"), QUICK],
    "test": [*CHECK, UNIT, STACK, CROWD],
    "test-gpu": ["python -m pytest -m gpu"],
    "check": CHECK,
    "unit": [UNIT],
    "stack-tests": [STACK],
    "crowd-tests": [CROWD],
    "e2e": [f"python -m pytest -m 'e2e and not gpu' {STACK_TESTS}"],
    "synth": ["python app.py"],
    "snapshot": ["python -m infra.snapshot"],
    "preflight": ["python -m infra.deploy.preflight"],
    "deploy": ["python -m infra.deploy"],
    "smoke": ["python -m infra.deploy.smoke"],
    "stage-weights": ["python -m gpu_worker.models.weights stage"],
    "bench": ["python -m benchmarks.cold", "python -m benchmarks.gateway"],
    "ledger": ["python -m tests.ledger --jobs 1000 --seed 1"],
    "fuzz": [
        "python -m pytest -n auto --timeout 3600 -m 'hypothesis and not gpu' --hypothesis-profile fuzz",
        "python -m tests.interleavings --examples 5000",
        "python -m tests.pictures --count 20000",
    ],
    "models-check": ["python -m lambdas.providers.models_check"],
    "backfill": ["python -m lambdas.backfill"],
    "key": ["python -m lambdas.manage_keys create"],
    "keys": ["python -m lambdas.manage_keys list"],
    "key-revoke": ["python -m lambdas.manage_keys revoke"],
    "key-rotate": ["python -m lambdas.manage_keys rotate"],
    "webhook-secret": ["python -m lambdas.manage_keys webhook-secret"],
    "link-secret": ["python -m lambdas.manage_keys link-secret"],
}
OPERATORS = ("backfill", "key", "keys", "key-revoke", "key-rotate", "webhook-secret", "link-secret")
LOCAL, GPU = "local/requirements.txt", "requirements-gpu.txt"


def enter_environment(arguments: list[str]) -> None:
    """Create .venv if missing, and continue in it."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    python = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.is_file():
        print(f"Making the environment {VENV.name} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    command = [str(python), "-m", "local", *arguments]
    if sys.platform == "win32":
        raise SystemExit(subprocess.run(command, cwd=ROOT, check=False).returncode)
    os.chdir(ROOT)
    os.execv(command[0], command)  # noqa: S606  # one process, so that signals reach it


def install(verb: str) -> None:
    """Install the missing packages of a verb."""
    needed = {"run": LOCAL, **dict.fromkeys(OPERATORS, LOCAL), "test-gpu": GPU, "stage-weights": GPU}
    requirements = ROOT / needed.get(verb, "requirements-dev.txt")
    if missing(requirements):
        print(f"Installing {requirements.relative_to(ROOT)} ...", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]
        if subprocess.run([*pip, str(requirements)], check=False).returncode:
            raise SystemExit("The packages could not be installed; pip says why above.")


def missing(requirements: Path) -> bool:
    """Return whether a pinned package of the file, or of an included one, is absent or of another version."""
    for line in requirements.read_text("utf-8").splitlines():
        if line.startswith("-r"):
            if missing(requirements.parent / line.removeprefix("-r").strip()):
                return True
        elif match := re.match(r"([\w.-]+)(?:\[.*?])?==([^\s;\\]+)", line.strip()):
            try:
                if metadata.version(match[1]) != match[2]:
                    return True
            except metadata.PackageNotFoundError:
                return True
    return False


def do(verb: str, arguments: list[str]) -> int:
    """Run the commands of a verb other than `run`; those of `test` continue after a failure.

    Returns the first exit status that is not 0.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": ""}  # as in the Makefile
    if verb in OPERATORS:
        from local.settings import SettingsError, load

        try:  # the settings of the local run, also from `.env`
            settings = load()
            arguments = [*arguments, "--data-dir", str(settings.data_dir)]
            environment["WEBHOOK_SECRET"] = settings.functions.get("WEBHOOK_SECRET", "")
        except SettingsError as error:
            print(error, file=sys.stderr)
            return 1
    failed = 0
    for command in VERBS[verb]:
        program, *rest = [*shlex.split(command), *arguments]
        found = shutil.which(program, path=path) or program
        status = subprocess.run([found, *rest], cwd=ROOT, env=environment, check=False).returncode
        failed = failed or status
        if failed and verb != "test":
            break
    return failed

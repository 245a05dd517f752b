"""The Makefile's verbs for a machine without make; installs what a verb needs, so it uses only the standard library."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CDK = "aws-cdk@2.1148.1"

# verb: the packages it needs, and what it runs; "python" stands for the environment's own
VERBS: dict[str, tuple[str, list[list[str]]]] = {
    "run": ("local/requirements.txt", []),
    "test": ("requirements-dev.txt", [["python", "-m", "pytest"]]),
    "synth": ("requirements.txt", [["python", "app.py"]]),
    "deploy": ("requirements.txt", [["npx", "--yes", CDK, "deploy", "--all"]]),
}


def python() -> Path:
    """The interpreter of the project's own environment."""
    return VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def enter_environment(arguments: list[str]) -> None:
    """Makes .venv if there is none and goes on in it."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    if not python().is_file():
        print(f"Making the environment {VENV.name} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    command = [str(python()), "-m", "local", *arguments]
    if sys.platform == "win32":
        raise SystemExit(subprocess.run(command, cwd=ROOT, check=False).returncode)
    os.execv(command[0], command)  # noqa: S606  # one process, so that signals reach it


def install(requirements: Path) -> None:
    """Installs what is missing of a requirements file."""
    if missing(requirements):
        print(f"Installing {requirements.relative_to(ROOT)} ...", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]
        if subprocess.run([*pip, str(requirements)], check=False).returncode:
            raise SystemExit("The packages could not be installed; pip says why above.")


def missing(requirements: Path) -> bool:
    """Whether a pinned package of the file, or of one it names, is absent or of another version."""
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
    """Runs a verb other than `run`; its exit status."""
    environment = {**os.environ, "PATH": f"{python().parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    for command in VERBS[verb][1]:
        program = [str(python()), *command[1:]] if command[0] == "python" else command
        shell = sys.platform == "win32" and command[0] == "npx"  # npx is a .cmd there
        status = subprocess.run([*program, *arguments], cwd=ROOT, env=environment, shell=shell, check=False).returncode
        if status:
            return status
    return 0

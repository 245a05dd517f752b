"""The paths that the documents name in backticks exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), ROOT / "gpu_worker" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = "lambdas|infra|local|gpu_worker|tests|docs|benchmarks"
PATH = re.compile(rf"(?:{FOLDERS})/[\w./*-]*|[\w-]+\.(?:py|toml|json|md)")
WRITTEN = re.compile(r"models\.toml|hero-shot\.json")  # what an operator writes


def paths(text: str) -> list[str]:
    """What stands in backticks alone and looks like a path of the repository."""
    return [span for span in re.findall(r"`([^`\n]+)`", text) if PATH.fullmatch(span) and not WRITTEN.fullmatch(span)]


def exists(path: str) -> bool:
    """Whether there is such a file or folder; a name without a folder may be of any."""
    return any(ROOT.glob(path.rstrip("/"))) or ("/" not in path and any(ROOT.glob(f"[!.]*/**/{path}")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_path_exists(document: Path) -> None:
    named = paths(document.read_text(encoding="utf-8"))
    assert [path for path in named if not exists(path)] == []


def test_what_looks_like_a_path() -> None:
    text = "`lambdas/api/` and `app.py`, but neither `GET /health`, `python -m docs.matrix` nor `lambdas/a file`"
    assert paths(text) == ["lambdas/api/", "app.py"]

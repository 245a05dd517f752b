"""Portability: encodings are named wherever text is read or written."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("app.py", "benchmarks", "docs", "gpu_worker", "infra", "lambdas", "local", "tests")
TEXT_MODES = ("r", "w", "a", "x", "r+", "w+", "a+")


def sources() -> Iterator[Path]:
    for name in FOLDERS:
        path = ROOT / name
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def by_locale(call: ast.Call) -> bool:
    """Whether the call reads or writes a text in whatever encoding the machine's locale has."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if any(keyword.arg in ("encoding", None) for keyword in call.keywords):
        return False
    if name == "read_text":
        return not call.args
    if name == "write_text":
        return len(call.args) == 1
    if name != "open":
        return False
    of_path = isinstance(call.func, ast.Attribute)
    mode = call.args[0 if of_path else 1 : 1 if of_path else 2]
    if not mode:
        return not of_path  # `open(path)`; `x.open()` may be anything
    return isinstance(mode[0], ast.Constant) and mode[0].value in TEXT_MODES


def test_no_text_is_read_or_written_by_the_locale() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and by_locale(node)
    ]
    assert found == []


def test_the_rule_sees_what_it_is_for() -> None:
    def judged(code: str) -> bool:
        return by_locale(ast.parse(code, mode="eval").body)  # type: ignore[arg-type]

    assert all(map(judged, ["p.read_text()", "p.write_text('x')", "open(p)", "open(p, 'w')", "p.open('a')"]))
    assert not any(
        map(judged, ["p.read_text('utf-8')", "p.write_text('x', 'utf-8')", "open(p, 'rb')", "Image.open(p)"])
    )
    assert not judged("p.write_text('x', encoding='utf-8')")


def test_a_process_with_another_locale_clock_and_seed_says_the_same() -> None:
    """One of the catalogue's and the compressor's, of which nothing may depend on a locale, a zone or a hash."""
    code = (
        "import sys; from docs import matrix; from lambdas.domain.iso_time import iso;"
        "sys.stdout.buffer.write((matrix.page() + str(iso(1.7e9))).encode())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **given}, capture_output=True, check=True
        ).stdout
        for given in (
            {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
            {"TZ": "Pacific/Chatham", "LC_ALL": "POSIX", "PYTHONHASHSEED": "2", "PYTHONUTF8": "0"},
        )
    }
    assert len(outputs) == 1

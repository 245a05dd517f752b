"""Every benchmark and every module behind a verb of the Makefile runs."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# module: what makes it short, and a word of its output
BENCHMARKS = {
    "benchmarks.cold": (["--rounds", "1"], "api, deployed"),
    "benchmarks.delivery": (["--rounds", "1"], "PNG to 512 WebP"),
    "benchmarks.fairness": (["--minutes", "1"], "queue without groups"),
    "benchmarks.figures": (["--rounds", "3", "--series", "5", "--jobs", "5", "9"], "a scrape of 5 series"),
    "benchmarks.gateway": (["--only", "handler", "--rounds", "1"], "POST /generate, adapters"),
    "benchmarks.gpu.batching": (["--images", "8"], "bucket"),
    "benchmarks.gpu.pipelines": (["--seconds", "0.2", "--rounds", "1", "--threads", "1"], "worker"),
    "benchmarks.listing": (["--jobs", "30", "40"], "page 1"),
    "benchmarks.routing": (["--seeds", "1"], "regret"),
}


def output(module: str, words: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *words], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(
    "module",
    [pytest.param(name, marks=pytest.mark.gpu if name == "benchmarks.gpu.pipelines" else ()) for name in BENCHMARKS],
)
def test_a_benchmark_runs(module: str) -> None:
    words, expected = BENCHMARKS[module]
    assert expected in output(module, words)


@pytest.mark.e2e
def test_the_benchmark_over_http_runs() -> None:
    assert "the double, directly" in output("benchmarks.gateway", ["--only", "http", "--rounds", "2"])


def test_no_benchmark_is_left_out() -> None:
    found = {
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for path in (ROOT / "benchmarks").rglob("*.py")
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    }
    assert found == set(BENCHMARKS)


def test_every_verb_names_a_module_that_is_there() -> None:
    verbs = (ROOT / "Makefile").read_text(encoding="utf-8")
    modules = set(re.findall(r"\$\(PY(?:THON)?\) -m ([a-z0-9_.]+)", verbs)) - {"venv", "pip", "pytest"}
    assert len(modules) > 8
    for module in modules:
        spec = importlib.util.find_spec(module)
        assert spec is not None, module
        if spec.submodule_search_locations is not None:
            assert importlib.util.find_spec(f"{module}.__main__"), module

"""The regular expressions of the service, and functions built on them, take no quadratic time for any text."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import lambdas
from lambdas.domain.jobs.request import MAX_PROMPT
from lambdas.domain.prompts import guard
from lambdas.domain.prompts.analysis import analyse
from lambdas.domain.prompts.compress import compress

# Of each: what is repeated, what stands before, and what ends the run in a way that no pattern wants.
RUNS = [
    *".…;,-|_#<([{\"'“\\= \n",
    "\u2014",
    "\u3001",
    *"a1猫\u0301\u200d",
    *("!?;", "a-", "--a ", "(a", "a:", ": ", ":1", "1.", "1,", ",1", "<a", "a b. ", "www.", "data:a", "a://"),
    *("seed", "seed ", "n ", "(:", "('", "a, ", "🇩🇪", "“a", '"a ', " - ", ";a=", "((", "](", "ab" * 30),
    *("http", "1x1", "sure ", "{[", "```", "``` "),
]
AROUND = [("", "a"), ("seed", "x"), ("(a", "b"), ("data:", "")]
TEXTS = [(run, before, after) for run in RUNS for before, after in AROUND]


def text_of(run: str, before: str, after: str, length: int) -> str:
    room = length - len(before) - len(after)
    return before + (run * (room // len(run) + 1))[:room] + after


def seconds(work: Callable[[str], Any], text: str) -> float:
    """Of the processor: `re` counts no steps."""
    began = time.process_time()
    work(text)
    return time.process_time() - began


NOTHING = 0.06  # seconds of the processor below which the growth of a text of MAX_PROMPT is of no interest


def grows_too_fast(work: Callable[[str], Any], run: str, before: str, after: str) -> str | None:
    """Four times the work for twice the text is a square's, and it is so every time; a busy machine is not."""
    found = ""
    for _ in range(5):
        whole = seconds(work, text_of(run, before, after, MAX_PROMPT))
        half = seconds(work, text_of(run, before, after, MAX_PROMPT // 2)) if whole > NOTHING else whole
        if whole <= 3 * half:
            return None
        found = f"{before!r} {run!r} {after!r}: {half:.3f} s, {whole:.3f} s"
    return found


def patterns() -> Iterator[tuple[str, re.Pattern[str]]]:
    """Every compiled pattern that a module of the service holds, also within its tables."""
    for module in pkgutil.walk_packages(lambdas.__path__, "lambdas."):
        if ".handlers" in module.name or module.name.endswith("__main__") or module.name == "lambdas.wiring":
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            yield from ((f"{module.name}.{name}", found) for found in _within(value))


def _within(value: object) -> Iterator[re.Pattern[str]]:
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _within(part)


PATTERNS = {f"{name}-{n}": pattern for n, (name, pattern) in enumerate(patterns())}


@pytest.mark.parametrize("name", PATTERNS)
def test_every_pattern(name: str) -> None:
    pattern = PATTERNS[name]

    def work(text: str) -> None:
        for _ in pattern.finditer(text):
            pass

    assert [found for text in TEXTS if (found := grows_too_fast(work, *text))] == []


def test_the_patterns_were_found() -> None:
    assert len({name.rpartition(".")[0] for name in PATTERNS}) > 8
    assert any(name.startswith("lambdas.domain.prompts.segments._MARK") for name in PATTERNS)


WORK: dict[str, Callable[[str], Any]] = {
    "compress": compress,
    "analyse": analyse,
    "objection": lambda text: guard.objection("a red fox in the snow", guard.tidy(text), MAX_PROMPT + 1),
}


@pytest.mark.parametrize("name", WORK)
def test_what_is_built_of_them(name: str) -> None:
    texts = [*((run, *AROUND[0]) for run in RUNS), *((" ", before, after) for before, after in AROUND)]
    assert [found for text in texts if (found := grows_too_fast(WORK[name], *text))] == []

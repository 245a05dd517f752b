"""The places of tests, by which they are marked or left out: a file that is renamed or added is not missed."""

from __future__ import annotations

import re

import pytest

from local.verbs import STACK_TESTS
from tests.conftest import ALONE, GPU, HERE, SLOW, marks_of


@pytest.mark.parametrize("place", [*GPU, *SLOW, *ALONE])
def test_a_place_exists(place: str) -> None:
    assert (HERE / place).exists()


def test_a_test_has_the_marks_of_its_place() -> None:
    assert marks_of(HERE / "faults" / "test_every_call.py") == ["slow"]
    assert marks_of(HERE / "ledger" / "test_ledger.py") == ["slow", "alone"]
    assert marks_of(HERE / "gpu_worker" / "pipelines") == ["gpu"]
    assert marks_of(HERE / "gpu_worker" / "pipelines" / "test_sampler.py") == ["gpu"]
    assert marks_of(HERE / "ledger_of_another_name.py") == []
    assert marks_of(HERE.parent / "lambdas") == []


def test_the_tests_on_the_local_stack_are_where_they_are_looked_for() -> None:
    marked = [path for path in HERE.rglob("test_*.py") if re.search(r"mark\.(e2e|cdk)\b", path.read_text("utf-8"))]
    folders = [HERE.parent / folder for folder in STACK_TESTS.split()]
    assert len(marked) > 20
    assert [path for path in marked if not any(path.is_relative_to(folder) for folder in folders)] == []

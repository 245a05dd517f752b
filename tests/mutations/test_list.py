"""The mutations match the current code; `python -m tests.mutations` runs them."""

from __future__ import annotations

import ast

import pytest

from tests.mutations import MUTATIONS
from tests.mutations.mutation import ROOT, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_changes_one_place_of_the_code_and_names_tests(mutation: Mutation) -> None:
    ast.parse(mutation.applied(ROOT))
    assert mutation.original != mutation.mutated
    assert mutation.tests
    assert [test for test in mutation.tests if not (ROOT / "tests" / test).is_file()] == []


def test_every_mutation_has_a_name_of_its_own() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(set(names)) == len(names) >= 80

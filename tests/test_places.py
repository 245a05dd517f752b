"""The tables of places in `tests/conftest.py`: a renamed file does not leave them unnoticed."""

from __future__ import annotations

import pytest

from tests.conftest import GPU, HERE, SLOW, marks_of


@pytest.mark.parametrize("place", [*GPU, *SLOW])
def test_a_place_exists(place: str) -> None:
    assert (HERE / place).exists()


def test_a_test_has_the_marks_of_its_place() -> None:
    assert marks_of(HERE / "faults" / "test_every_call.py") == ["slow"]
    assert marks_of(HERE / "gpu_worker" / "pipelines") == ["gpu"]
    assert marks_of(HERE / "gpu_worker" / "pipelines" / "test_sampler.py") == ["gpu"]
    assert marks_of(HERE / "ledger_of_another_name.py") == []
    assert marks_of(HERE.parent / "lambdas") == []

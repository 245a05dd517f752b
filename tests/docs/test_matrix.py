"""The documents agree with the tables in the code."""

from __future__ import annotations

import re

from docs import matrix
from lambdas.domain.catalogue import CARDS
from lambdas.domain.failures import CONSEQUENCES, HealthEffect
from lambdas.domain.routing import fallback, health, ranking

ROUTING = matrix.FILE.with_name("routing.md").read_text(encoding="utf-8")


def rows(title: str) -> list[list[str]]:
    """The cells of the table under that heading, without its head."""
    section = ROUTING.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_feature_matrix_is_that_of_the_catalogue() -> None:
    written = matrix.FILE.read_text(encoding="utf-8")
    assert written == matrix.page(), "run: python -m docs.matrix"
    assert all(f"`{card.id}`" in written for card in CARDS)


def test_the_failures_are_described_as_the_tables_have_them() -> None:
    told = {code.strip("`"): (elsewhere == "yes", says) for code, elsewhere, says, *_ in rows("Fallback")}
    words = {
        HealthEffect.NOTHING: "nothing",
        HealthEffect.FAILURE: "failure",
        HealthEffect.SHUT: "shut",
        HealthEffect.MODEL: "its model",
    }
    assert told == {code: (follows.fallback, words[follows.health]) for code, follows in CONSEQUENCES.items()}


def test_the_numbers_are_those_of_the_code() -> None:
    told = {name: float(value) for name, value in re.findall(r"^\| `([A-Z_]+)` \| ([\d.]+)", ROUTING, re.MULTILINE)}
    assert {"HALF_LIFE", "TRIP_AFTER", "MAX_COOLDOWN", "PROBE_SECONDS", "SECOND_USD", "MAX_LOSSES"} <= set(told)
    for name, value in told.items():
        [owner] = [m for m in (health, ranking, fallback) if hasattr(m, name) and name in vars(m)][:1]
        assert getattr(owner, name) == value, name

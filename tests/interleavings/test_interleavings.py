"""No interleaving of deliveries, leases, clocks, kills and stalls violates the job protocol."""

from __future__ import annotations

import pytest

from tests.interleavings.search import search

HISTORIES = {"dynamo": 50, "fakes": 300}  # for more of them: python -m tests.interleavings --examples 5000


@pytest.mark.parametrize("store", sorted(HISTORIES))
def test_no_history_breaks_a_law(store: str) -> None:
    seen = search(store, HISTORIES[store], steps=50).seen
    assert seen["history"] >= HISTORIES[store]
    # and they were histories worth the name
    assert min(seen[kind] for kind in ("kill", "stall", "fault", "takeover", "completed", "failed", "cancelled")) > 0


def test_a_history_can_be_told_again() -> None:
    first = dict(search("fakes", 15, steps=40).seen)
    assert dict(search("fakes", 15, steps=40).seen) == first

"""Conversion of plain values to DynamoDB items and back, and compare-and-swap."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import get_item, item, marshal, plain, values
from lambdas.adapters.dynamodb.writes import compare_and_swap

ROW: dict[str, Any] = {
    "text": "ü",
    "none": "",
    "whole": -3,
    "broken": 1_790_000_000.25,
    "zero": 0,
    "names": {"b", "a"},
    "held": {"call": {"tenant": "acme", "until": 5.5}},
}


@pytest.mark.usefixtures("cloud")
def test_an_item_comes_back_as_it_was_given() -> None:
    aws.client("dynamodb").put_item(TableName="jobs", Item=item("acme", "1", **ROW))
    assert get_item("jobs", "acme", "1") == {"pk": "acme", "sk": "1", **ROW}
    assert get_item("jobs", "acme", "2") is None


def test_what_is_none_is_no_attribute() -> None:
    assert item("a", "b", c=None, d=0) == {"pk": {"S": "a"}, "sk": {"S": "b"}, "d": {"N": "0"}}
    assert values(now=1.5, names={"b", "a"}) == {":now": {"N": "1.5"}, ":names": {"SS": ["a", "b"]}}


@pytest.mark.parametrize("value", [None, b"x", [1], object()])
def test_what_no_item_of_ours_holds_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        marshal(value)


def test_what_somebody_wrote_by_hand_is_read() -> None:
    assert plain({"flag": {"BOOL": True}, "list": {"L": []}, "e": {"N": "1E+2"}}) == {
        "flag": True,
        "list": [],
        "e": 100.0,
    }


@pytest.mark.usefixtures("cloud")
def test_an_overtaken_writer_starts_from_what_it_finds() -> None:
    db, seen = aws.client("dynamodb"), []

    def change(found: dict[str, Any] | None) -> dict[str, Any] | None:
        seen.append(found and found["drawn"])
        if len(seen) == 1:  # another is faster
            compare_and_swap(db, "jobs", "p", "s", lambda _: {"drawn": 10}, tries=1)
        return {"drawn": (found["drawn"] if found else 0) + 1}

    assert compare_and_swap(db, "jobs", "p", "s", change, tries=2) == {"drawn": 11}
    assert seen == [None, 10]
    assert get_item("jobs", "p", "s") == {"pk": "p", "sk": "s", "drawn": 11, "version": 2}
    assert compare_and_swap(db, "jobs", "p", "s", lambda _: None, tries=2) is None

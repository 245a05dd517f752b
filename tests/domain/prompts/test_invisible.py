"""Invisible text is blank, and text of every script is not."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain.prompts.invisible import hidden, is_blank

UNSEEN = [
    "\u200b",
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\u3164",
    "\u2800",
    "\u115f",
    "\uffa0",
    "\U000e0041",
    "\ufe0f",
    "\U000e0100",
]


@pytest.mark.parametrize(
    "text", ["", " ", "\n\t\r", "\u00a0\u3000\u2003", "\x00\x1b\x7f\x85", "\u202e", *UNSEEN, " \u200b\n\ufeff " * 50]
)
def test_nothing_to_see(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize(
    "text",
    [
        "a",
        ".",
        "é",
        "e\u0301",
        "猫",
        "قطة",
        "का",
        "ไม้",
        "👩\u200d🚀",
        "❤\ufe0f",
        "1\ufe0f\u20e3",
        "🏴\U000e0067\U000e007f",
        "\ue000",
    ],
)
def test_something_to_see(text: str) -> None:
    assert not is_blank(text)
    assert not is_blank(f"\u200b{text}\u200b")


@given(st.text(max_size=50))
def test_white_space_and_format_characters_alone_are_blank(text: str) -> None:
    unseen = all(c.isspace() or unicodedata.category(c) in ("Cc", "Zs", "Zl", "Zp") for c in text)
    assert not unseen or is_blank(text)
    letters = any(unicodedata.category(c)[0] in "LN" and c not in "\u115f\u1160\u3164\uffa0" for c in text)
    assert not letters or not is_blank(text)


def test_what_hides_is_counted() -> None:
    assert hidden("a\u200bb\u200b\U000e0041") == {"\u200b": 2, "\U000e0041": 1}
    assert hidden("plain text\n") == {}

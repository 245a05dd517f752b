"""Lenient base64: variants that are read, and texts that are refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain.base64_text import decode


@given(st.binary(max_size=200))
def test_every_spelling_of_the_same_bytes(data: bytes) -> None:
    plain = base64.b64encode(data).decode()
    spellings = (
        plain,
        plain.rstrip("="),
        base64.urlsafe_b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        base64.encodebytes(data).decode(),
        "\r\n ".join(plain),
        f"\t{plain}\n",
    )
    assert {decode(text) for text in spellings} == {data}


@pytest.mark.parametrize(
    "text", ["!!!!", "A", "AAAAA", "AA=A", "é", "\uff21\uff21", "A\x00AA", None, 5, b"AAAA", ["AAAA"]]
)
def test_what_is_none(text: object) -> None:
    with pytest.raises(ValueError):
        decode(text)

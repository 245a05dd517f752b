"""JSON of another type than expected is read as empty, and raises nothing."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from lambdas.domain.failures import ProviderFailure
from lambdas.providers._client.hostile_json import image, items, mapping, mappings, parsed


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, b"\xff\xfe", "nul"])
def test_what_is_no_json_is_none(text: bytes | str) -> None:
    assert parsed(text) is None


@pytest.mark.parametrize("value", [None, 1, "x", True, [1], {"a": 1}, [{"a": 1}, None, "b"]])
def test_another_form_reads_as_empty(value: Any) -> None:
    assert mapping(value) == (value if isinstance(value, dict) else {})
    assert items(value) == (value if isinstance(value, list) else [])
    assert mappings(value) == ([{"a": 1}] if value == [{"a": 1}, None, "b"] else [])


def test_an_image_is_its_bytes() -> None:
    assert image(base64.b64encode(b"png").decode()) == b"png"


@pytest.mark.parametrize("text", [None, 5, "", "==", "%%%"])
def test_no_image_is_a_bad_answer_that_says_what_was_charged(text: object) -> None:
    with pytest.raises(ProviderFailure) as caught:
        image(text, paid="unknown")
    assert (caught.value.code, caught.value.paid) == ("bad_answer", "unknown")

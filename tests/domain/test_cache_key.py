"""Which fields of a request are part of the cache key."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from lambdas.domain.jobs.request import Dropped, ImageRequest

ASKED = ImageRequest("a fox", seed=7, cache=True)
CLIENTS_OWN: dict[str, Any] = {
    "labels": {"order": "7"},
    "ignored": (Dropped("quality", "no model takes it"),),
    "given": ("seed",),
    "project_id": "spring",
    "webhook_url": "https://a.example/h",
    "warnings": ("a warning",),
    "reference_field": "file",
}
DECIDES: dict[str, Any] = {
    "prompt": "a hare",
    "negative_prompt": "rain",
    "provider": "gemini",
    "model": "imagen",
    "width": 512,
    "height": 512,
    "steps": 9,
    "cfg": 3.0,
    "seed": 8,
    "n": 2,
    "format": "webp",
    "reference_key": "uploads/acme/1",
    "reference_type": "image/png",
    "task": "background",
    "padding": 10,
    "cut_out": True,
    "strategy": "cheapest",
    "fallback": ("bedrock",),
    "optimize_prompt": False,
    "compression": 40,
    "mask_key": "uploads/acme/2",
    "more_references": (("uploads/acme/3", "image/png"),),
}


def test_every_field_is_of_one_kind() -> None:
    assert {field.name for field in fields(ImageRequest)} == {*CLIENTS_OWN, *DECIDES, "cache"}


@pytest.mark.parametrize("name", CLIENTS_OWN)
def test_what_only_concerns_the_client_does_not_count(name: str) -> None:
    assert replace(ASKED, **{name: CLIENTS_OWN[name]}).cache_key() == ASKED.cache_key()


@pytest.mark.parametrize("name", DECIDES)
def test_what_the_image_depends_on_counts(name: str) -> None:
    assert replace(ASKED, **{name: DECIDES[name]}).cache_key() not in (None, ASKED.cache_key())


def test_without_a_seed_or_the_wish_there_is_none() -> None:
    assert replace(ASKED, seed=None).cache_key() is None
    assert replace(ASKED, cache=False).cache_key() is None

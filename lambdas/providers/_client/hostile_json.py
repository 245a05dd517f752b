"""Readers of JSON that somebody else wrote: what has not the form that is asked for reads as empty."""

from __future__ import annotations

import json
from typing import Any

from lambdas.domain.base64_text import decode
from lambdas.domain.failures import Failure, Paid, ProviderFailure


def parsed(text: bytes | str) -> Any:
    """The value; None for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def mappings(value: object) -> list[dict[str, Any]]:
    """The objects of a list, without what else is in it."""
    return [item for item in items(value) if isinstance(item, dict)]


def image(text: object, *, paid: Paid = "no", made: bool = False) -> bytes:
    """The bytes of an image in base64. Raises ProviderFailure(bad_answer) where there are none."""
    try:
        data = decode(text)
    except ValueError:
        raise ProviderFailure(Failure.BAD_ANSWER, "the image was not valid base64", paid=paid, made=made) from None
    if not data:
        raise ProviderFailure(Failure.BAD_ANSWER, "the image was empty", paid=paid)
    return data

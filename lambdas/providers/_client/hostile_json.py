"""Reads untrusted JSON: a value of another type than expected is read as empty."""

from __future__ import annotations

import json
from typing import Any

from lambdas.domain.base64_text import decode
from lambdas.domain.failures import Failure, Paid, ProviderFailure


def parsed(text: bytes | str) -> Any:
    """Return the value; None for invalid JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def mappings(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list, without its other entries."""
    return [item for item in items(value) if isinstance(item, dict)]


def image(text: object, *, paid: Paid = "no", made: bool = False) -> bytes:
    """Decode an image from base64. Raises ProviderFailure(bad_answer) for invalid or empty data."""
    try:
        data = decode(text)
    except ValueError:
        raise ProviderFailure(Failure.BAD_ANSWER, "the image was not valid base64", paid=paid, made=made) from None
    if not data:
        raise ProviderFailure(Failure.BAD_ANSWER, "the image was empty", paid=paid)
    return data

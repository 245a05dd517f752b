"""Defines which paths need a key, for the authorizer, which runs before the route is looked up."""

from __future__ import annotations

from typing import Final

OPEN: Final = frozenset({"/", "/docs", "/health", "/openapi.json", "/postman.json"})
KEYED: Final = frozenset({"/v1/models/purge"})  # need a key even if the deployment requires none


def closed(path: str, *, required: bool) -> bool:
    """Return whether the path needs a key. `required`: the deployment requires keys."""
    path = path.rstrip("/") or "/"
    return path in KEYED or (required and path not in OPEN)

"""Which paths open without a key: for the authorizer, which must know it before any route is looked up."""

from __future__ import annotations

from typing import Final

OPEN: Final = frozenset({"/", "/docs", "/health", "/openapi.json", "/postman.json"})
KEYED: Final = frozenset({"/v1/models/purge"})  # need a key also where none is required


def closed(path: str, *, required: bool) -> bool:
    """Whether the path is answered only to who has a key. `required`: a deployment asks for keys."""
    path = path.rstrip("/") or "/"
    return path in KEYED or (required and path not in OPEN)

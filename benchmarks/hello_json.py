"""Defines the floor of the cold starts: a function that uses JSON alone."""

from __future__ import annotations

import json
from typing import Any


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Return a greeting."""
    return {"statusCode": 200, "body": json.dumps({"path": event["path"]})}

"""The api function: answers every HTTP request."""

from __future__ import annotations

from typing import Any

from lambdas import wiring
from lambdas.api import app
from lambdas.handlers import ready


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway's proxy event in, its answer out."""
    return app.handle(event, context.get_remaining_time_in_millis(), wiring.live(), wiring.settings())


wiring.prime()
ready()

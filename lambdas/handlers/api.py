"""The api function: answers every HTTP request."""

from __future__ import annotations

from typing import Any

from lambdas import wiring
from lambdas.api import app, table
from lambdas.api.answer import GatewayAnswer
from lambdas.handlers import ready

# The group of most first requests, which also loads what every other group needs: pydantic and the use cases.
FIRST = "unified"


def handler(event: dict[str, Any], context: Any) -> GatewayAnswer:
    """API Gateway's proxy event in, its answer out."""
    return app.handle(event, context.get_remaining_time_in_millis(), wiring.live(), wiring.settings())


wiring.prime()
if wiring.settings().deployed:  # a start has two whole CPUs, the first request the share that its memory buys
    table.routes(FIRST)
ready()

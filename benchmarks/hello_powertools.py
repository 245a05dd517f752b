"""Defines the yardstick of the cold starts: Powertools' hello world with a log, metrics and a resolver."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger()
metrics = Metrics()
app = APIGatewayRestResolver()


@app.get("/health")
def hello() -> dict[str, str]:
    """A greeting."""
    metrics.add_metric("Requests", MetricUnit.Count, 1)
    logger.info("hello")
    return {"status": "ok"}


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer API Gateway's event."""
    return app.resolve(event, context)

"""Writes logs and metrics: structured lines with request and job id, and CloudWatch's embedded metric format."""

from __future__ import annotations

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import Metrics, MetricUnit, single_metric

from lambdas.domain.jobs.job import Job

# Powertools reads POWERTOOLS_SERVICE_NAME, POWERTOOLS_METRICS_NAMESPACE and LOG_LEVEL, which the template sets.
logger = Logger(utc=True, log_uncaught_exceptions=False)
NAMESPACE = "ImageApi"


def request_done(status: int, milliseconds: float) -> None:
    """Record an answered HTTP request."""
    metrics = Metrics(namespace=NAMESPACE)
    metrics.add_metric("Requests", MetricUnit.Count, 1)
    metrics.add_metric("ClientErrors", MetricUnit.Count, int(400 <= status < 500))
    metrics.add_metric("ServerErrors", MetricUnit.Count, int(status >= 500))
    metrics.add_metric("RequestDuration", MetricUnit.Milliseconds, milliseconds)
    metrics.flush_metrics()


class EmfMeter:
    """Implements the ports Meter and WebhookMeter."""

    def attempt(self, provider: str, model: str, outcome: str, seconds: float) -> None:
        with single_metric(
            "GenerationDuration", MetricUnit.Milliseconds, seconds * 1000, namespace=NAMESPACE
        ) as metric:
            metric.add_dimension("provider", provider)
            metric.add_dimension("model", model)
            metric.add_metadata("outcome", outcome)
        name = "Generations" if outcome == "success" else "GenerationFailures"
        with single_metric(name, MetricUnit.Count, 1, namespace=NAMESPACE) as metric:
            metric.add_dimension("provider", provider)
            metric.add_dimension("model", model)

    def cost(self, provider: str, model: str, usd: float) -> None:
        with single_metric("Cost", MetricUnit.NoUnit, usd, namespace=NAMESPACE) as metric:  # in USD
            metric.add_dimension("provider", provider)
            metric.add_dimension("model", model)

    def rate_limited(self) -> None:
        with single_metric("RateLimitHits", MetricUnit.Count, 1, namespace=NAMESPACE):
            pass

    def abandoned(self) -> None:
        with single_metric("JobsAbandoned", MetricUnit.Count, 1, namespace=NAMESPACE):
            pass

    def webhook_delivered(self) -> None:
        with single_metric("WebhooksDelivered", MetricUnit.Count, 1, namespace=NAMESPACE):
            pass

    def webhook_failed(self) -> None:
        with single_metric("WebhookFailures", MetricUnit.Count, 1, namespace=NAMESPACE):
            pass

    def webhook_exhausted(self) -> None:
        with single_metric("WebhooksExhausted", MetricUnit.Count, 1, namespace=NAMESPACE):
            pass

    def job(self, job: Job) -> None:
        # a worker's line has the id of the request that the work was for
        logger.info(
            "job ended",
            extra={
                "status": job.status,
                "job_id": job.id,
                "request_id": job.request_id,
                "tenant": job.tenant,
                "project_id": job.request.project_id,
                "provider": job.provider,
                "model": job.model,
                "cost_usd": job.cost_usd,
                "attempts": len(job.attempts),
                "error_code": job.error.code if job.error else None,
                "seconds": round((job.finished_at or job.created_at) - job.created_at, 3),
                "images": [image.id for image in job.images],
            },
        )


def job_dead_lettered() -> None:
    """Count a job that was given up because its message could not be handled."""
    with single_metric("JobsDeadLettered", MetricUnit.Count, 1, namespace=NAMESPACE):
        pass

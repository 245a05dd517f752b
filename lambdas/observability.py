"""Writes logs and metrics: structured lines with request and job id, and CloudWatch's embedded metric format.

docs/logs.md lists the fields of the lines. Every metric has the dimension `service`; those of calls to providers also
have `provider` and `model`, of which there are as many as the catalogue has models, and no others.
"""

from __future__ import annotations

from typing import Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from lambdas.domain import errors as e
from lambdas.domain.jobs.job import COMPLETED, FAILED, Job

# Powertools reads POWERTOOLS_SERVICE_NAME, POWERTOOLS_METRICS_NAMESPACE and LOG_LEVEL, which the template sets.
logger = Logger(utc=True, log_uncaught_exceptions=False)
NAMESPACE = "ImageApi"
UNITS: Final = {  # of the metrics that are not counts
    "Cost": MetricUnit.NoUnit,  # in USD
    "GenerationDuration": MetricUnit.Milliseconds,
    "RequestDuration": MetricUnit.Milliseconds,
}
# The codes of jobs that failed because of what their client asked for: such failures say nothing about the service.
REFUSALS: Final = frozenset(
    error.code
    for error in (
        e.BudgetExceeded,
        e.ContentRefused,
        e.Gone,
        e.InvalidRequest,
        e.MalformedBody,
        e.NotFound,
        e.NotSupported,
        e.ProviderUnconfigured,
        e.RateLimited,
        e.RetiredModel,
        e.TooLarge,
        e.UnknownModel,
        e.UnsupportedMediaType,
    )
)


def request_done(status: int, milliseconds: float) -> None:
    """Record an answered HTTP request."""
    _write(
        Requests=1,
        ClientErrors=int(400 <= status < 500),
        ServerErrors=int(status >= 500),
        RequestDuration=milliseconds,
    )


class EmfMeter:
    """Implements the ports Meter and WebhookMeter."""

    def attempt(self, provider: str, model: str, outcome: str, seconds: float, code: str | None = None) -> None:
        line = EphemeralMetrics(namespace=NAMESPACE)
        line.add_dimension("provider", provider)
        line.add_dimension("model", model)
        line.add_metadata("outcome", outcome)
        if code:
            line.add_metadata("error_code", code)
        name = "Generations" if outcome == "success" else "GenerationFailures"
        _write(line, **{name: 1}, GenerationDuration=seconds * 1000)

    def cost(self, provider: str, model: str, usd: float) -> None:
        line = EphemeralMetrics(namespace=NAMESPACE)
        # twice: an alarm cannot add up the models, as it takes no search expression
        line.add_dimensions(service=line.service, provider=provider, model=model)
        _write(line, Cost=usd)

    def rate_limited(self) -> None:
        _write(RateLimitHits=1)

    def abandoned(self) -> None:
        _write(JobsAbandoned=1)

    def webhook_delivered(self) -> None:
        _write(WebhooksDelivered=1)

    def webhook_failed(self) -> None:
        _write(WebhookFailures=1)

    def webhook_exhausted(self) -> None:
        _write(WebhooksExhausted=1)

    def job(self, job: Job) -> None:
        if figures := _figures(job):
            _write(**figures)
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
    _write(JobsDeadLettered=1)


def _figures(job: Job) -> dict[str, int]:
    """What a job in its final state adds to the metrics of jobs.

    Zeros are left out, as a name that is not written costs nothing; but an alarm compares completed with failed jobs,
    and CloudWatch computes nothing from a value that is missing.
    """
    if job.status not in (COMPLETED, FAILED):
        return {}
    done = job.status == COMPLETED
    refused = job.error is not None and job.error.code in REFUSALS
    others = {
        "JobsRefused": refused,
        "Fallbacks": _fallbacks(job),
        "CacheHits": job.cached,
        "CacheMisses": done and job.cache_key is not None and not job.cached,
        "PromptsShortened": job.rewriting is not None and job.rewriting.method != "none" and not job.cached,
    }
    ended = {"JobsCompleted": int(done), "JobsFailed": int(not done and not refused)}
    return ended | {name: int(value) for name, value in others.items() if value}


def _fallbacks(job: Job) -> int:
    """How many of its images another model made than the one that was to be asked first."""
    made = {attempt.image: attempt.model for attempt in job.attempts if attempt.outcome == "success"}
    return sum(index in made and made[index] != job.plan[0] for index in range(len(job.images)) if job.plan)


def _write(line: EphemeralMetrics | None = None, /, **figures: float) -> None:
    """Write metrics as one line of the log, under the dimension `service` and those of `line`."""
    line = line or EphemeralMetrics(namespace=NAMESPACE)
    for name, value in figures.items():
        line.add_metric(name, UNITS.get(name, MetricUnit.Count), value)
    line.flush_metrics()

"""The composition root: the only place that chooses which adapter stands behind a port."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

from lambdas.adapters.clock import SystemClock
from lambdas.adapters.dynamodb_batches import DynamoBatches
from lambdas.adapters.dynamodb_health import DynamoHealth
from lambdas.adapters.dynamodb_jobs import DynamoJobs
from lambdas.adapters.dynamodb_limits import DynamoLimits
from lambdas.adapters.dynamodb_projects import DynamoProjects
from lambdas.adapters.pictures import PillowPictures
from lambdas.adapters.s3_blobs import S3Blobs
from lambdas.adapters.secret import ProviderSecret
from lambdas.adapters.workers import LambdaWorkers, SqsQueue
from lambdas.domain.budget import Caps
from lambdas.observability import EmfMeter
from lambdas.providers.registry import ProviderRegistry
from lambdas.providers.text import engines
from lambdas.settings import Settings
from lambdas.usecases.deps import Deps


@cache
def settings() -> Settings:
    """This process's settings."""
    return Settings.live()


@cache
def live() -> Deps:
    """The ports over AWS. Nothing is connected yet: clients are made on first use."""
    s = settings()
    queue = SqsQueue(s.jobs_queue_url)
    return Deps(
        jobs=DynamoJobs(s.jobs_table, s.images_table),
        blobs=S3Blobs(s.images_bucket, s.presigned_url_ttl_seconds),
        pictures=PillowPictures(),
        queue=queue,
        workers=LambdaWorkers(s.worker_function, queue),
        providers=ProviderRegistry(s, ProviderSecret(s.provider_secret_arn).values),
        clock=SystemClock(),
        meter=EmfMeter(),
        health=DynamoHealth(s.providers_table),
        batches=DynamoBatches(s.jobs_table),
        limits=DynamoLimits(s.jobs_table, s.rate_limit_per_minute),
        projects=DynamoProjects(s.projects_table, s.jobs_table, s.images_table),
        default_model=s.default_model,
        allowed_models=s.allowed_models,
        weights=s.weights,
        generation_timeout=s.generation_timeout_seconds,
        retention_days=s.job_retention_days,
        caps=Caps.of(s.budget_usd_per_month, s.budget_images_per_month),
        engines=engines(s),
    )


def prime() -> None:
    """Where deployed, make the clients and the connection that a first request would wait for.

    Lambda starts a function on two whole CPUs and runs its requests on the share its memory buys. What fails
    here fails again, and is told, at the request.
    """
    if Settings.live().deployed:
        with suppress(Exception):
            live().jobs.get("-", "-")
            live().blobs.presign("-")

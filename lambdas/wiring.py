"""The composition root: the only place that chooses which adapter stands behind a port."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from lambdas.adapters.clock import SystemClock
from lambdas.adapters.dynamodb.analytics import DynamoAnalytics
from lambdas.adapters.dynamodb.batches import DynamoBatches
from lambdas.adapters.dynamodb.budget import DynamoBooks
from lambdas.adapters.dynamodb.counters import DynamoCounters
from lambdas.adapters.dynamodb.health import DynamoHealth
from lambdas.adapters.dynamodb.jobs import DynamoJobs
from lambdas.adapters.dynamodb.limits import DynamoLimits
from lambdas.adapters.dynamodb.link_keys import DynamoLinkKeys
from lambdas.adapters.dynamodb.outbox import DynamoOutbox
from lambdas.adapters.dynamodb.projects import DynamoProjects
from lambdas.adapters.dynamodb.slots import DynamoSlots
from lambdas.adapters.images.compositing import PillowCompositor
from lambdas.adapters.images.pictures import PillowPictures
from lambdas.adapters.lambda_workers import LambdaWorkers
from lambdas.adapters.queue_backlog import QueueBacklog
from lambdas.adapters.queues import SqsEvents, SqsQueue
from lambdas.adapters.s3_blobs import S3Blobs
from lambdas.adapters.secret import ProviderSecret
from lambdas.adapters.webhooks.urls import GuardedUrls
from lambdas.domain.jobs.job import Job
from lambdas.domain.limits import slots
from lambdas.domain.limits.budget import Caps
from lambdas.domain.ports.media import Blobs
from lambdas.domain.webhooks import Event
from lambdas.observability import EmfMeter
from lambdas.providers.registry import ProviderRegistry, vocabulary_limited
from lambdas.providers.text import engines
from lambdas.settings import Settings
from lambdas.usecases.deps import Deps

if TYPE_CHECKING:
    from lambdas.usecases.webhooks.deliver import Delivery


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
        jobs=DynamoJobs(s.jobs_table, s.images_table, metrics=s.metrics_enabled),
        analytics=DynamoAnalytics(s.jobs_table),
        counters=DynamoCounters(s.jobs_table) if s.metrics_enabled else None,
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
        books=DynamoBooks(s.jobs_table),
        link_keys=DynamoLinkKeys(s.keys_table),
        projects=DynamoProjects(s.projects_table, s.jobs_table, s.images_table),
        slots=DynamoSlots(s.providers_table, slots.caps(s.concurrency)),
        backlog=QueueBacklog(s.jobs_queue_url, s.jobs_table),
        outbox=DynamoOutbox(s.jobs_table),
        events=SqsEvents(s.webhooks_queue_url),
        webhook_urls=GuardedUrls(allow_private=s.allow_private_urls),
        compositor=PillowCompositor(),
        default_model=s.default_model,
        allowed_models=s.allowed_models,
        aliases=s.aliases,
        weights=s.weights,
        vocabulary_limited=vocabulary_limited(s),
        generation_timeout=s.generation_timeout_seconds,
        max_queue_seconds=s.max_queue_seconds,
        worker_concurrency=s.worker_concurrency,
        retention_days=s.job_retention_days,
        caps=Caps.of(s.budget_usd_per_month, s.budget_images_per_month),
        engines=engines(s),
    )


def delivery(render: Callable[[Event, Job, Blobs], bytes]) -> Delivery:
    """What the webhooks function needs, imported for it alone; `render` makes the body of an event."""
    from lambdas.adapters.webhooks.receiver import HttpReceiver
    from lambdas.adapters.webhooks.signer import StandardSigner
    from lambdas.usecases.webhooks.deliver import Delivery

    s, deps = settings(), live()
    return Delivery(
        jobs=deps.jobs,
        outbox=deps.outbox,
        events=deps.events,
        receiver=HttpReceiver(allow_private=s.allow_private_urls),
        signer=StandardSigner(s.keys_table, s.local_webhook_secrets),
        clock=deps.clock,
        meter=EmfMeter(),
        render=lambda event, job: render(event, job, deps.blobs),
    )


def prime() -> None:
    """Where deployed, make the clients and the connection that a first request would wait for.

    Lambda starts a function on two whole CPUs and runs its requests on the share its memory buys. What fails
    here fails again, and is told, at the request.
    """
    if Settings.live().deployed:
        with suppress(Exception):
            live().jobs.get("-", "-")
            live().health.snapshot()
            live().blobs.presign("-")

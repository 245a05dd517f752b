"""Defines the dashboards of contract 8.1: the service as clients see it, the generations, and the work behind them.

There are three because an account has three free, of up to 50 metrics each; so the GPU is a row of the work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.alarm import FIVE_MINUTES
from infra.constructs.gpu.alarms import backlog, instances, painted
from infra.constructs.metrics import by_model, server_error_share, service_metric, throttled
from infra.constructs.retry_queue import RetryQueue
from infra.constructs.table import Table

Rows = Sequence[Sequence[cloudwatch.GraphWidget]]


class Dashboards(Construct):
    """Three dashboards, each of rows of graphs."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        api: apigateway.RestApi,
        functions: Mapping[str, lambda_.Function],
        jobs: RetryQueue,
        webhooks: RetryQueue,
        tables: Mapping[str, Table],
        gpu_endpoint: str | None = None,
    ) -> None:
        super().__init__(scope, id)
        self._add("Service", _service(api.deployment_stage, functions))
        self._add("Generation", _generation())
        self._add("Work", _work(functions, jobs, webhooks, tables) + ([_gpu(gpu_endpoint)] if gpu_endpoint else []))

    def _add(self, id: str, rows: Rows) -> None:
        dashboard = cloudwatch.Dashboard(self, id, default_interval=cdk.Duration.hours(6))
        for row in rows:
            dashboard.add_widgets(*row)


def _service(stage: apigateway.Stage, functions: Mapping[str, lambda_.Function]) -> Rows:
    return [
        [
            _graph("Requests", [
                stage.metric_count(statistic="Sum", label="at the gateway"),
                service_metric("Requests", label="at the function"),
            ]),
            _graph("Errors", [
                stage.metric_client_error(statistic="Sum"),
                stage.metric_server_error(statistic="Sum"),
                service_metric("ClientErrors"),
                service_metric("ServerErrors"),
            ]),
            _graph("Latency (ms)", [
                *(stage.metric_latency(statistic=part, label=part) for part in ("p50", "p95", "p99")),
                service_metric("RequestDuration", "p95", label="p95 in the function"),
            ]),
        ],
        [
            _graph("Active: requests that the api function works on", [
                functions["api"].metric("ConcurrentExecutions", statistic="Maximum", label="active"),
            ]),
            _graph("Refused for a tenant: too many requests", [service_metric("RateLimitHits")]),
            _graph("Share of 5xx", [server_error_share(stage)]),
        ],
        [
            _graph(
                "Function duration (ms, p95)",
                [f.metric_duration(label=n, statistic="p95") for n, f in functions.items()],
            ),
        ],
    ]  # fmt: skip


def _generation() -> Rows:
    return [
        [
            _graph("Generations by provider and model", [by_model("Generations", "Sum")]),
            _graph("Failures by provider and model", [by_model("GenerationFailures", "Sum")]),
            _graph("Generation time by provider and model (ms, p95)", [by_model("GenerationDuration", "p95")]),
        ],
        [
            _graph("Cost by provider and model (USD)", [by_model("Cost", "Sum")]),
            _graph("Cost (USD)", [service_metric("Cost")]),
            _graph("Images by another model than was to be asked first", [service_metric("Fallbacks")]),
        ],
        [
            _graph("Jobs", [
                service_metric("JobsCompleted", label="completed"),
                service_metric("JobsFailed", label="failed"),
                service_metric("JobsRefused", label="failed by what was asked"),
            ]),
            _graph("Cache", [service_metric("CacheHits"), service_metric("CacheMisses")]),
            _graph("Prompts shortened", [service_metric("PromptsShortened")]),
        ],
    ]  # fmt: skip


def _work(
    functions: Mapping[str, lambda_.Function], jobs: RetryQueue, webhooks: RetryQueue, tables: Mapping[str, Table]
) -> list[list[cloudwatch.GraphWidget]]:
    return [
        [
            _graph("Queue depth", _depth(jobs.queue)),
            _graph("Oldest message", [jobs.queue.metric_approximate_age_of_oldest_message(label="seconds")]),
            _graph("Lost jobs", [
                jobs.dead_letters.metric_approximate_number_of_messages_visible(label="dead letters"),
                service_metric("JobsDeadLettered", label="given up"),
                service_metric("JobsAbandoned", label="taken over from a run that died"),
            ]),
        ],
        [
            _graph("Webhooks", [
                service_metric("WebhooksDelivered"),
                service_metric("WebhookFailures"),
                service_metric("WebhooksExhausted"),
            ]),
            _graph("Webhook queue depth", [
                *_depth(webhooks.queue),
                webhooks.dead_letters.metric_approximate_number_of_messages_visible(label="dead letters"),
            ]),
            _graph("Tables: refused reads and writes", [throttled(name, table) for name, table in tables.items()]),
        ],
        [
            _graph("Function errors", [f.metric_errors(label=n) for n, f in functions.items()]),
            _graph("Function throttles", [f.metric_throttles(label=n) for n, f in functions.items()]),
        ],
    ]  # fmt: skip


def _gpu(name: str) -> list[cloudwatch.GraphWidget]:
    return [
        _graph("GPU: instances and work", [instances(name), painted(name)]),
        _graph("GPU: waiting", [
            backlog(name, "ApproximateBacklogSize", "Maximum"),
            backlog(name, "HasBacklogWithoutCapacity", "Maximum"),
        ]),
        _graph("GPU: failed or expired", [
            backlog(name, "InvocationFailures", "Sum"),
            backlog(name, "ExpiredRequests", "Sum"),
        ]),
    ]  # fmt: skip


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8, height=6, period=FIVE_MINUTES)


def _depth(queue: sqs.Queue) -> list[cloudwatch.Metric]:
    return [
        queue.metric_approximate_number_of_messages_visible(label="waiting"),
        queue.metric_approximate_number_of_messages_not_visible(label="running"),
        queue.metric_approximate_number_of_messages_delayed(label="delayed"),
    ]

"""Defines one page of graphs: requests, generations, queue, functions and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.alarms import service_metric
from infra.constructs.gpu.alarms import backlog, instances, painted
from infra.constructs.retry_queue import RetryQueue
from infra.constructs.table import Table

FIVE_MINUTES = cdk.Duration.minutes(5)


class Dashboard(Construct):
    """Rows of graphs, the client's view first."""

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
        stage = api.deployment_stage
        rows = [
            [
                _graph("Requests", [stage.metric_count(statistic="Sum"), service_metric("Requests")]),
                _graph("Errors", [
                    stage.metric_client_error(statistic="Sum"),
                    stage.metric_server_error(statistic="Sum"),
                    service_metric("ClientErrors"),
                    service_metric("ServerErrors"),
                ]),
                _graph("Latency", [
                    *(stage.metric_latency(statistic=part, label=part) for part in ("p50", "p95", "p99")),
                    service_metric("RequestDuration", "p95"),
                ]),
            ],
            [
                _graph("Generations by provider", [_by_model("Generations", "Sum")]),
                _graph("Failures by provider", [_by_model("GenerationFailures", "Sum")]),
                _graph("Generation time by provider (p95)", [_by_model("GenerationDuration", "p95")]),
            ],
            [
                _graph("Cost by provider (USD)", [_by_model("Cost", "Sum")]),
                _graph("Refused for a tenant: too many requests", [service_metric("RateLimitHits")]),
            ],
            [
                _graph("Queue depth", _depth(jobs.queue)),
                _graph("Oldest message", [jobs.queue.metric_approximate_age_of_oldest_message(label="seconds")]),
                _graph("Lost jobs", [
                    jobs.dead_letters.metric_approximate_number_of_messages_visible(label="dead letters"),
                    service_metric("JobsDeadLettered"),
                    service_metric("JobsAbandoned"),
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
            ],
            [
                _graph("Function errors", [f.metric_errors(label=n) for n, f in functions.items()]),
                _graph(
                    "Function duration (p95)",
                    [f.metric_duration(label=n, statistic="p95") for n, f in functions.items()],
                ),
                _graph("Function throttles", [f.metric_throttles(label=n) for n, f in functions.items()]),
            ],
            [
                _graph("Table reads throttled", [_throttles(n, t, "Read") for n, t in tables.items()]),
                _graph("Table writes throttled", [_throttles(n, t, "Write") for n, t in tables.items()]),
            ],
        ]  # fmt: skip
        if gpu_endpoint:
            rows.append(_gpu(gpu_endpoint))
        dashboard = cloudwatch.Dashboard(self, "Dashboard", default_interval=cdk.Duration.hours(6))
        for row in rows:
            dashboard.add_widgets(*row)


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


def _by_model(metric: str, statistic: str) -> cloudwatch.SearchExpression:
    """Return one line for each existing provider and model, without a list of them here."""
    return cloudwatch.SearchExpression(
        expression=f"SEARCH('{{ImageApi,service,provider,model}} MetricName=\"{metric}\"', '{statistic}', 300)",
        label="${PROP('Dim.provider')} ${PROP('Dim.model')}",
        period=FIVE_MINUTES,
    )


def _throttles(name: str, table: Table, way: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/DynamoDB",
        metric_name=f"{way}ThrottleEvents",
        dimensions_map={"TableName": table.name},
        statistic="Sum",
        label=name,
    )

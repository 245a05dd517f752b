"""Defines the metrics that dashboards and alarms share."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch

from infra.constructs.alarm import FIVE_MINUTES
from infra.constructs.table import Table

MIN_REQUESTS = 20  # in five minutes: of fewer no share is computed


def service_metric(
    name: str, statistic: str = "Sum", *, label: str | None = None, period: cdk.Duration = FIVE_MINUTES
) -> cloudwatch.Metric:
    """Return a metric that the functions write themselves."""
    return cloudwatch.Metric(
        namespace="ImageApi",
        metric_name=name,
        dimensions_map={"service": "image-api"},
        statistic=statistic,
        label=label,
        period=period,
    )


def by_model(metric: str, statistic: str) -> cloudwatch.SearchExpression:
    """Return one line for each existing provider and model, without a list of them here."""
    return cloudwatch.SearchExpression(
        expression=f"SEARCH('{{ImageApi,service,provider,model}} MetricName=\"{metric}\"', '{statistic}', 300)",
        label="${PROP('Dim.provider')} ${PROP('Dim.model')}",
        period=FIVE_MINUTES,
    )


def server_error_share(stage: apigateway.Stage) -> cloudwatch.MathExpression:
    """Return the share of requests answered with 5xx, 0 while there are few requests."""
    return cloudwatch.MathExpression(
        expression=f"IF(requests > {MIN_REQUESTS}, errors / requests, 0)",
        using_metrics={
            "requests": stage.metric_count(period=FIVE_MINUTES, statistic="Sum"),
            "errors": stage.metric_server_error(period=FIVE_MINUTES, statistic="Sum"),
        },
        period=FIVE_MINUTES,
        label="share of 5xx",
    )


def throttled(name: str, table: Table) -> cloudwatch.MathExpression:
    """Return the refused reads and writes of a table and its indexes, which DynamoDB counts apart."""
    parts = {}
    for number, index in enumerate((None, *table.indexes)):
        dimensions = {"TableName": table.name, **({"GlobalSecondaryIndexName": index} if index else {})}
        for way in ("Read", "Write"):
            parts[f"{name}_{way.lower()}{number}"] = cloudwatch.Metric(
                namespace="AWS/DynamoDB",
                metric_name=f"{way}ThrottleEvents",
                dimensions_map=dimensions,
                statistic="Sum",
                period=FIVE_MINUTES,
            )
    return cloudwatch.MathExpression(
        expression=f"SUM([{', '.join(parts)}])",  # of those that have values; `+` has none where one has none
        using_metrics=parts,
        period=FIVE_MINUTES,
        label=name,
    )

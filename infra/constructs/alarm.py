"""Defines one alarm, and the alarms that every function has."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

FIVE_MINUTES = cdk.Duration.minutes(5)


def described(meaning: str, page: str) -> str:
    """Return an alarm's description: it ends with the section of the runbook that says what to do."""
    return f"{meaning} docs/runbook.md#{page}"


def add_alarm(
    scope: Construct,
    id: str,
    meaning: str,
    page: str,
    metric: cloudwatch.IMetric,
    topic: sns.ITopic,
    *,
    threshold: float = 0,
    periods: int = 1,
    of: int | None = None,
    few: str | None = None,
) -> None:
    """Add an alarm that notifies the topic while the metric is above the threshold in `periods` of the last `of`.

    `few`: what a percentile of too few values counts as.
    """
    alarm = cloudwatch.Alarm(
        scope,
        id,
        alarm_description=described(meaning, page),
        metric=metric,
        threshold=threshold,
        evaluation_periods=of or periods,
        datapoints_to_alarm=periods if of else None,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        evaluate_low_sample_count_percentile=few,
    )
    alarm.add_alarm_action(actions.SnsAction(topic))


def add_function_alarms(scope: Construct, name: str, function: lambda_.Function, topic: sns.ITopic) -> None:
    """Add the alarms on a function's errors, its throttles, and what Lambda dropped as a loop."""
    for kind, page, metric, meaning in (
        ("Errors", "function-errors", "Errors", f"The {name} function fails."),
        (
            "Throttles",
            "throttles",
            "Throttles",
            f"Lambda refuses to start the {name} function: no concurrency is left.",
        ),
        (
            "Recursion",
            "recursion",
            "RecursiveInvocationsDropped",
            f"Lambda takes the {name} function to call itself without end, and has thrown away what it was to do.",
        ),
    ):
        watched = function.metric(metric, period=FIVE_MINUTES, statistic="Sum")
        add_alarm(scope, kind + name.title().replace("_", ""), meaning, page, watched, topic)

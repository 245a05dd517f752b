"""Defines the alarms of the service and the topic that they notify."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.config import Thresholds
from infra.constructs.alarm import FIVE_MINUTES, add_alarm, add_function_alarms
from infra.constructs.metrics import server_error_share, service_metric, throttled
from infra.constructs.retry_queue import RetryQueue
from infra.constructs.table import Table

MINUTE = cdk.Duration.minutes(1)
QUARTER_OF_AN_HOUR = cdk.Duration.minutes(15)
DAY = cdk.Duration.days(1)
MIN_FAILURES = 3  # in a quarter of an hour without a success, until an alarm is raised


class Alarms(Construct):
    """All alarms; the subscribers of `topic` are notified."""

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
        thresholds: Thresholds,
    ) -> None:
        super().__init__(scope, id)
        self.topic = _topic(self)
        self._of_jobs(jobs, thresholds)
        self._of_generations(thresholds)
        self._of_the_api(api.deployment_stage, thresholds)
        self._of_webhooks(webhooks)
        for name, function in functions.items():
            add_function_alarms(self, name, function, self.topic)
        for name, table in tables.items():
            self._add(
                f"Table{name.title()}",
                f"DynamoDB refuses reads or writes of the table {name}, or of its indexes.",
                "tables",
                throttled(name, table),
            )

    def _of_jobs(self, jobs: RetryQueue, thresholds: Thresholds) -> None:
        self._add(
            "DeadLetters",
            "Jobs lie in the dead-letter queue: the function that ends them is failing.",
            "dead-letters",
            jobs.dead_letters.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="Maximum"),
            periods=3,
        )
        self._add(
            "JobsLost", "A job failed five times and was given up.", "jobs-lost", service_metric("JobsDeadLettered")
        )
        self._add(
            "OldestMessage",
            "Jobs wait too long: the workers do not keep up.",
            "oldest-message",
            jobs.queue.metric_approximate_age_of_oldest_message(period=MINUTE, statistic="Maximum"),
            threshold=thresholds.oldest_message_seconds,
            periods=5,
        )

    def _of_generations(self, thresholds: Thresholds) -> None:
        self._add(
            "NoSuccess",
            "In a quarter of an hour jobs failed, and not one was completed.",
            "no-success",
            cloudwatch.MathExpression(
                expression=f"IF(completed == 0 AND failed >= {MIN_FAILURES}, 1, 0)",
                using_metrics={
                    "completed": service_metric("JobsCompleted", period=QUARTER_OF_AN_HOUR),
                    "failed": service_metric("JobsFailed", period=QUARTER_OF_AN_HOUR),
                },
                period=QUARTER_OF_AN_HOUR,
                label="only failures",
            ),
        )
        self._add(
            "Cost",
            "The providers have charged more in a day than they are expected to.",
            "cost",
            service_metric("Cost", period=DAY),
            threshold=thresholds.usd_per_day,
        )

    def _of_the_api(self, stage: apigateway.Stage, thresholds: Thresholds) -> None:
        self._add(
            "ServerErrors",
            "Too large a share of the requests is answered with 5xx.",
            "server-errors",
            server_error_share(stage),
            threshold=thresholds.server_error_percent / 100,
            periods=2,
            of=3,
        )
        self._add(
            "Latency",
            "The slowest of 20 requests takes too long.",
            "latency",
            stage.metric_latency(period=FIVE_MINUTES, statistic="p95"),
            threshold=thresholds.latency_p95_seconds * 1000,
            periods=3,
            few="ignore",
        )

    def _of_webhooks(self, webhooks: RetryQueue) -> None:
        self._add(
            "WebhooksLost",
            "A receiver did not take a webhook in any of its attempts over days; it can be replayed.",
            "webhooks-lost",
            service_metric("WebhooksExhausted"),
        )
        self._add(
            "WebhookDeadLetters",
            "Webhooks lie in their dead-letter queue: the function that sends them has failed for days.",
            "webhook-dead-letters",
            webhooks.dead_letters.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="Maximum"),
        )

    def _add(
        self,
        id: str,
        meaning: str,
        page: str,
        metric: cloudwatch.IMetric,
        *,
        threshold: float = 0,
        periods: int = 1,
        of: int | None = None,
        few: str | None = None,
    ) -> None:
        add_alarm(self, id, meaning, page, metric, self.topic, threshold=threshold, periods=periods, of=of, few=few)


def _topic(scope: Construct) -> sns.Topic:
    topic = sns.Topic(scope, "Topic", enforce_ssl=True)
    topic.add_to_resource_policy(  # a topic with a policy loses the default one, which admits CloudWatch
        iam.PolicyStatement(
            principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}},
        )
    )
    return topic

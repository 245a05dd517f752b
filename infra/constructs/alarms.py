"""Defines the alarms and the topic that they notify."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.config import Thresholds
from infra.constructs.retry_queue import RetryQueue

MINUTE = cdk.Duration.minutes(1)
FIVE_MINUTES = cdk.Duration.minutes(5)


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
        thresholds: Thresholds,
    ) -> None:
        super().__init__(scope, id)
        self.topic = _topic(self)
        self._of_jobs(jobs, functions["worker"], thresholds)
        self._of_the_api(api.deployment_stage, thresholds)
        self._of_webhooks(webhooks, functions["webhooks"])
        self._of_functions(functions)

    def _of_jobs(self, jobs: RetryQueue, worker: lambda_.Function, thresholds: Thresholds) -> None:
        self._add(
            "DeadLetters",
            "Jobs lie in the dead-letter queue: the function that ends them is failing.",
            jobs.dead_letters.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="Maximum"),
            periods=3,
        )
        self._add("JobsLost", "A job failed five times and was given up.", service_metric("JobsDeadLettered"))
        self._add(
            "OldestMessage",
            "Jobs wait too long: the workers do not keep up.",
            jobs.queue.metric_approximate_age_of_oldest_message(period=MINUTE, statistic="Maximum"),
            threshold=thresholds.oldest_message_seconds,
            periods=5,
        )
        self._add("WorkerErrors", "The worker function fails.", _errors(worker))

    def _of_the_api(self, stage: apigateway.Stage, thresholds: Thresholds) -> None:
        self._add(
            "ServerErrors",
            "Too large a share of the requests is answered with 5xx.",
            stage.metric_server_error(period=FIVE_MINUTES, statistic="Average"),  # an average of 0s and 1s
            threshold=thresholds.server_error_percent / 100,
        )
        self._add(
            "Latency",
            "The slowest of 20 requests takes too long.",
            stage.metric_latency(period=FIVE_MINUTES, statistic="p95"),
            threshold=thresholds.latency_p95_seconds * 1000,
            periods=3,
        )

    def _of_webhooks(self, webhooks: RetryQueue, sender: lambda_.Function) -> None:
        self._add(
            "WebhooksLost",
            "A receiver did not take a webhook in any of its attempts over days; it can be replayed.",
            service_metric("WebhooksExhausted"),
        )
        self._add(
            "WebhookDeadLetters",
            "Webhooks lie in their dead-letter queue: the function that sends them has failed for days.",
            webhooks.dead_letters.metric_approximate_number_of_messages_visible(period=MINUTE, statistic="Maximum"),
        )
        self._add("WebhookErrors", "The function that sends webhooks fails.", _errors(sender))

    def _of_functions(self, functions: Mapping[str, lambda_.Function]) -> None:
        for name, function in functions.items():
            self._add(
                "Throttles" + name.title().replace("_", ""),
                f"Lambda refuses to start the {name} function: its concurrency is used up.",
                function.metric_throttles(period=FIVE_MINUTES, statistic="Sum"),
            )
            self._add(
                "Recursion" + name.title().replace("_", ""),
                f"Lambda takes the {name} function to call itself without end, and has thrown away what it was to do.",
                function.metric("RecursiveInvocationsDropped", period=FIVE_MINUTES, statistic="Sum"),
            )

    def _add(
        self, id: str, meaning: str, metric: cloudwatch.IMetric, *, threshold: float = 0, periods: int = 1
    ) -> None:
        alarm = cloudwatch.Alarm(
            self,
            id,
            alarm_description=meaning,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))


def service_metric(name: str, statistic: str = "Sum") -> cloudwatch.Metric:
    """Return a metric that the functions write themselves."""
    return cloudwatch.Metric(
        namespace="ImageApi",
        metric_name=name,
        dimensions_map={"service": "image-api"},
        statistic=statistic,
        period=FIVE_MINUTES,
    )


def _errors(function: lambda_.Function) -> cloudwatch.Metric:
    return function.metric_errors(period=FIVE_MINUTES, statistic="Sum")


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

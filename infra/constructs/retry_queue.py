"""Defines a queue that redelivers messages until their reader has handled them, and its dead-letter queue."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.acknowledge import acknowledge

DEAD_LETTER_DAYS = 14  # SQS's maximum


class RetryQueue(Construct):
    """Visibility is six times the reader's timeout, as Lambda needs to retry a batch safely. Times are seconds."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        reader_timeout: int,
        receives: int,
        retention_days: int,
        dead_letter_timeout: int,
        end_of_line: str,
    ) -> None:
        super().__init__(scope, id)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(DEAD_LETTER_DAYS),
            visibility_timeout=cdk.Duration.seconds(6 * dead_letter_timeout),
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(retention_days),
            visibility_timeout=cdk.Duration.seconds(6 * reader_timeout),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=receives),
        )
        acknowledge(self.dead_letters, {"Serverless-SQSRedrivePolicy": end_of_line})


def feed(function: lambda_.Function, queue: sqs.Queue, *, batch_size: int, max_concurrency: int | None = None) -> None:
    """Pass the queue's messages to the function, which reports each message that failed."""
    queue.grant_consume_messages(function)
    mapping = function.add_event_source_mapping(
        "Messages",
        event_source_arn=queue.queue_arn,
        batch_size=batch_size,
        max_concurrency=max_concurrency,
        report_batch_item_failures=True,
    )
    acknowledge(
        mapping,
        {"Serverless-LambdaEventSourceMappingDestination": "SQS sources have none; the queue's own redrive serves."},
    )

"""The queue of jobs for the worker, and where a job goes that failed five times."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.acknowledge import acknowledge

RECEIVES = 5


class JobQueue(Construct):
    """Visibility is six times the reader's timeout, as Lambda needs to retry a batch safely."""

    def __init__(self, scope: Construct, id: str, *, worker_timeout: int, dead_letter_timeout: int) -> None:
        super().__init__(scope, id)
        self.dead_letters = sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
            visibility_timeout=cdk.Duration.seconds(6 * dead_letter_timeout),
        )
        self.queue = sqs.Queue(
            self,
            "Queue",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(4),
            visibility_timeout=cdk.Duration.seconds(6 * worker_timeout),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dead_letters, max_receive_count=RECEIVES),
        )
        acknowledge(
            self.dead_letters,
            {"Serverless-SQSRedrivePolicy": "It is the end of the line; what its reader cannot end stays for 14 days."},
        )


def feed(function: lambda_.Function, queue: sqs.Queue, *, batch_size: int, max_concurrency: int | None = None) -> None:
    """Hand the queue's messages to the function, which reports one by one what it could not do."""
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

"""Defines the webhook queue, and the function that sends webhooks."""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct

from infra import grants
from infra.acknowledge import acknowledge
from infra.constructs.function import Functions, FunctionSpec
from infra.constructs.retry_queue import RetryQueue, feed
from infra.data_stack import DataStack

SENDER = FunctionSpec(  # a message whose attempt is not due yet sends the next one
    "lambdas.handlers.webhooks.handler", 30, 256, "Tells receivers how their jobs ended", goes_round=True
)


class Webhooks:
    """The queue and its function; `variables` and `send` are for functions that end jobs.

    The children belong to `scope` itself: a construct in between would change their logical ids, and replace the queue.
    """

    def __init__(
        self, scope: Construct, functions: Functions, data: DataStack, settings: Mapping[str, str], *, concurrency: int
    ) -> None:
        self.queues = RetryQueue(
            scope,
            "WebhookQueue",
            reader_timeout=SENDER.timeout_seconds,
            receives=1000,  # SQS's maximum: the function may fail for two days
            retention_days=14,
            dead_letter_timeout=SENDER.timeout_seconds,
            end_of_line="An alarm tells of what lies here; a person mends the cause and moves it back.",
        )
        self.variables = {"WEBHOOKS_QUEUE_URL": self.queues.queue.queue_url}
        self.send = grants.allow(("sqs:SendMessage",), self.queues.queue.queue_arn)
        sender = functions.add(
            "Webhooks",
            SENDER,
            {
                "JOBS_TABLE": data.jobs.name,
                "IMAGES_TABLE": data.images.name,
                "KEYS_TABLE": data.keys.name,
                "IMAGES_BUCKET": data.bucket.bucket_name,
                **self.variables,
                **settings,
            },
            [
                grants.table(data.jobs, "GetItem", "PutItem", "UpdateItem"),
                grants.table(data.images, "GetItem", "BatchGetItem"),
                grants.table(data.keys, "GetItem"),
                *grants.objects(data, {grants.IMAGES: ("s3:GetObject",)}),  # as pre-signed URLs need
                self.send,
            ],
        )
        acknowledge(sender.role, grants.accepted_findings(data, (grants.IMAGES,)))
        self.sender = sender.function
        feed(self.sender, self.queues.queue, batch_size=1, max_concurrency=concurrency)

"""Webhooks: their queue, and the function that sends them."""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct

from infra import grants
from infra.acknowledge import acknowledge
from infra.constructs.function import Functions, FunctionSpec
from infra.constructs.retry_queue import RetryQueue, feed
from infra.data_stack import DataStack

SENDER = FunctionSpec(  # an attempt's message waits in steps, as long as the event itself is kept at the most
    "lambdas.handlers.webhooks.handler", 30, 256, "Tells receivers how their jobs ended", goes_round=True
)


class Webhooks:
    """What ends a job gets `variables` and `send`.

    Children of `scope` itself: a construct between would change their logical ids, and with them the queue.
    """

    def __init__(
        self, scope: Construct, functions: Functions, data: DataStack, settings: Mapping[str, str], *, concurrency: int
    ) -> None:
        self.queues = RetryQueue(
            scope,
            "WebhookQueue",
            reader_timeout=SENDER.timeout_seconds,
            receives=1000,  # the most there is: two days in which the function may fail and nothing leaves the queue
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
                *grants.objects(data, {grants.IMAGES: ("s3:GetObject",)}),  # a signed link may do what its signer may
                self.send,
            ],
        )
        acknowledge(sender.role, grants.accepted_findings(data, (grants.IMAGES,)))
        self.sender = sender.function
        feed(self.sender, self.queues.queue, batch_size=1, max_concurrency=concurrency)

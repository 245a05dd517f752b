"""Defines the job queue, the worker, and the function that fails dead-lettered jobs."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra import grants
from infra.constructs.function import Functions, FunctionSpec
from infra.constructs.generation import Generation
from infra.constructs.retry_queue import RetryQueue, feed
from infra.constructs.webhooks import Webhooks
from infra.data_stack import DataStack

WORKER = FunctionSpec(  # a job's watchdog message sends the next one, for at most a day
    "lambdas.handlers.worker.handler", 900, 1769, "Runs the jobs that outlast a request", goes_round=True
)
DEAD_LETTER = FunctionSpec("lambdas.handlers.dead_letter.handler", 60, 256, "Ends the jobs that failed for good")


class Jobs:
    """The queue and its functions; `variables` and `send` are for functions that accept jobs.

    The children belong to `scope` itself: a construct in between would change their logical ids, and replace the queue.
    """

    def __init__(
        self,
        scope: Construct,
        functions: Functions,
        data: DataStack,
        generation: Generation,
        webhooks: Webhooks,
        settings: Mapping[str, str],
        *,
        concurrency: int,
    ) -> None:
        self.queues = RetryQueue(
            scope,
            "JobQueue",
            reader_timeout=WORKER.timeout_seconds,
            receives=5,
            retention_days=4,
            dead_letter_timeout=DEAD_LETTER.timeout_seconds,
            end_of_line="It is the end of the line; what its reader cannot end stays for 14 days.",
        )
        self.variables = {"JOBS_QUEUE_URL": self.queues.queue.queue_url}
        self.send = grants.allow(("sqs:SendMessage",), self.queues.queue.queue_arn)
        self.worker = self._worker(functions, generation, webhooks)
        self.dead_letter = self._dead_letter(functions, data, webhooks, settings)
        feed(self.worker, self.queues.queue, batch_size=1, max_concurrency=concurrency)
        feed(self.dead_letter, self.queues.dead_letters, batch_size=10)

    def _worker(self, functions: Functions, generation: Generation, webhooks: Webhooks) -> lambda_.Function:
        worker = functions.add(
            "Worker",
            WORKER,
            {**generation.variables, **self.variables, **webhooks.variables},
            [*generation.statements, self.send, webhooks.send],
        )
        generation.accept_findings(worker)
        return worker.function

    def _dead_letter(
        self, functions: Functions, data: DataStack, webhooks: Webhooks, settings: Mapping[str, str]
    ) -> lambda_.Function:
        """Add the function that fails a job, settles its budget, and stores its event and the images so far."""
        return functions.add(
            "DeadLetter",
            DEAD_LETTER,
            {
                "JOBS_TABLE": data.jobs.name,
                "IMAGES_TABLE": data.images.name,
                **{name: settings[name] for name in ("METRICS_ENABLED",) if name in settings},
                **webhooks.variables,
            },
            [
                grants.table(data.jobs, "GetItem", "PutItem", "UpdateItem", "DeleteItem"),
                grants.table(data.images, "BatchGetItem", "PutItem"),
                webhooks.send,
            ],
        ).function

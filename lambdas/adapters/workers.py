"""How work reaches the worker function: by a message, or by a direct call that is waited for."""

from __future__ import annotations

import json
import logging

from lambdas.adapters import aws
from lambdas.domain.errors import Unavailable

# The api function has 29 s in all, as its gateway; what is left of them pays for its own start and answer.
MAX_WAIT_SECONDS = 24.0

log = logging.getLogger(__name__)


class SqsQueue:
    """The port Queue over the jobs queue."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, tenant: str, job_id: str, *, watchdog: bool, delay: int) -> None:
        body = json.dumps({"tenant": tenant, "job_id": job_id, "watchdog": watchdog})
        # On a standard queue a group asks for fairness: a tenant with much to do does not hold up the others.
        group = {"MessageGroupId": tenant}
        try:
            aws.client("sqs").send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay, **group)
        except Unavailable as failure:
            if watchdog:
                raise
            log.warning("the watchdog will bring the job", extra={"job_id": job_id, "reason": str(failure.__cause__)})


class SqsEvents:
    """The port EventQueue over the webhooks queue."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, tenant: str, job_id: str, due: int, *, delay: int) -> None:
        body = json.dumps({"tenant": tenant, "job_id": job_id, "due": due})
        group = {"MessageGroupId": tenant}  # for fairness, as above
        # a client may be waiting for its answer, and what is not sent now is sent later
        sqs = aws.client("sqs", read_timeout=2.0, attempts=2)
        sqs.send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay, **group)


class LambdaWorkers:
    """The port Workers over a synchronous Invoke. The worker goes on when nobody waits for it any more."""

    def __init__(self, function: str, queue: SqsQueue) -> None:
        self._function = function
        self._queue = queue

    def run(self, tenant: str, job_id: str, timeout: float) -> None:
        from botocore.exceptions import ClientError, ReadTimeoutError

        wait = max(1.0, min(MAX_WAIT_SECONDS, float(int(timeout))))
        payload = json.dumps({"tenant": tenant, "job_id": job_id}).encode()
        try:
            # never sent twice: a second worker could only wait for the first one's lease
            aws.client("lambda", read_timeout=wait, attempts=1).invoke(FunctionName=self._function, Payload=payload)
        except (Unavailable, ClientError) as failure:
            reason = failure.__cause__ or failure
            if isinstance(reason, ReadTimeoutError):
                return
            log.warning("no worker could be called, the job goes by the queue", extra={"reason": str(reason)})
            self._queue.send(tenant, job_id, watchdog=False, delay=0)

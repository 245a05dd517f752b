"""Sends messages to the workers and to the function that delivers webhooks."""

from __future__ import annotations

import json
import logging

from lambdas.adapters import aws
from lambdas.domain.errors import Unavailable

log = logging.getLogger(__name__)


class SqsQueue:
    """Implements the port Queue with the job queue."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, tenant: str, job_id: str, *, watchdog: bool, delay: int) -> None:
        body = json.dumps({"tenant": tenant, "job_id": job_id, "watchdog": watchdog})
        # A message group on a standard queue enables fair queues: a tenant with many jobs does not delay the others.
        group = {"MessageGroupId": tenant}
        try:
            aws.client("sqs").send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay, **group)
        except Unavailable as failure:
            if watchdog:
                raise
            log.warning("the watchdog will bring the job", extra={"job_id": job_id, "reason": str(failure.__cause__)})


class SqsEvents:
    """Implements the port EventQueue with the webhook queue."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, tenant: str, job_id: str, due: int, *, delay: int) -> None:
        body = json.dumps({"tenant": tenant, "job_id": job_id, "due": due})
        group = {"MessageGroupId": tenant}  # fair queues, as above
        # short, because a client may be waiting; a message that is not sent now is sent later
        sqs = aws.client("sqs", read_timeout=2.0, attempts=2)
        sqs.send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay, **group)

"""Sends messages to the workers and to the function that delivers webhooks."""

from __future__ import annotations

import json
import logging

from lambdas.adapters import aws
from lambdas.domain.errors import Unavailable

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

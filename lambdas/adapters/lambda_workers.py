"""Invokes the worker function synchronously, for a client that waits."""

from __future__ import annotations

import json
import logging

from lambdas.adapters import aws
from lambdas.adapters.queues import SqsQueue
from lambdas.domain.errors import Unavailable

# The api function has 29 s, as its gateway; the difference is for its own start and response.
MAX_WAIT_SECONDS = 24.0

log = logging.getLogger(__name__)


class LambdaWorkers:
    """Implements the port Workers. The worker continues after the caller's timeout."""

    def __init__(self, function: str, queue: SqsQueue) -> None:
        self._function = function
        self._queue = queue

    def run(self, tenant: str, job_id: str, timeout: float) -> None:
        from botocore.exceptions import ClientError, ReadTimeoutError

        wait = max(1.0, min(MAX_WAIT_SECONDS, float(int(timeout))))
        payload = json.dumps({"tenant": tenant, "job_id": job_id}).encode()
        try:
            # one attempt: a second worker would only wait for the first one's lease
            aws.client("lambda", read_timeout=wait, attempts=1).invoke(FunctionName=self._function, Payload=payload)
        except (Unavailable, ClientError) as failure:
            reason = failure.__cause__ or failure
            if isinstance(reason, ReadTimeoutError):
                return
            log.warning("no worker could be called, the job goes by the queue", extra={"reason": str(reason)})
            self._queue.send(tenant, job_id, watchdog=False, delay=0)

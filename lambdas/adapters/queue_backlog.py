"""Measures the backlog by the job queue's length and the index of jobs by status."""

from __future__ import annotations

import time
from typing import Final

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import values
from lambdas.domain.jobs.job import QUEUED

MEMORY_SECONDS: Final = 2.0
_WAITING: Final = "ApproximateNumberOfMessages"  # neither delayed nor in flight


class QueueBacklog:
    """Implements the port Backlog. A value that cannot be read is unknown, and not read again for a while."""

    def __init__(self, queue_url: str, jobs_table: str, memory_seconds: float = MEMORY_SECONDS) -> None:
        self._queue_url = queue_url
        self._jobs = jobs_table
        self._memory_seconds = memory_seconds
        self._read_at = -memory_seconds
        self._waiting: int | None = None
        self._own: tuple[str, int, float, int] = ("", 0, -memory_seconds, 0)  # tenant, limit, when, count

    def waiting(self) -> int | None:
        now = time.monotonic()
        if now - self._read_at >= self._memory_seconds:
            self._read_at = now
            self._waiting = self._read()
        return self._waiting

    def queued(self, tenant: str, most: int) -> int:
        now = time.monotonic()
        whose, of, when, count = self._own
        if (whose, of) != (tenant, most) or now - when >= self._memory_seconds:
            count = self._count(tenant, most)
            self._own = (tenant, most, now, count)
        return count

    def _read(self) -> int | None:
        sqs = aws.client("sqs", read_timeout=2.0, attempts=1)
        try:
            answer = sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=[_WAITING])
        except aws.failures():
            return None
        told = answer.get("Attributes", {}).get(_WAITING)
        return None if told is None else int(told)

    def _count(self, tenant: str, most: int) -> int:
        try:
            answer = aws.dynamodb_once().query(
                TableName=self._jobs,
                IndexName="by_status",
                KeyConditionExpression="status_key = :status",
                ExpressionAttributeValues=values(status=f"{tenant}#{QUEUED}"),
                Select="COUNT",
                Limit=most,
            )
        except aws.failures():
            return 0
        return int(answer["Count"])

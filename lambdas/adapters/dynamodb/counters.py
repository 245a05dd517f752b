"""Stores the deployment's counters in the table `jobs`: one item per series and shard, updated by additions only.

The partition keys begin with a character that no tenant name has. DynamoDB writes a partition at most a thousand times
per second, so there are SHARDS of them. Requests go to the first while it has room, so that a scrape reads one item per
series. Ends of jobs, whose transactions would conflict on one item, go to any.
"""

from __future__ import annotations

import json
import logging
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.items import Values, item, plain, values
from lambdas.adapters.dynamodb.listing import read_items
from lambdas.adapters.dynamodb.writes import Part, adding
from lambdas.domain import metrics
from lambdas.domain.errors import Unavailable
from lambdas.domain.jobs.job import RUNNING, Job
from lambdas.domain.metrics import MICRO, Columns, Series
from lambdas.domain.ports.metrics import Counted, Figures, GpuModel

SHARDS: Final = 4
BUSY_SECONDS: Final = 60.0  # for which requests go to any shard after the first had no room
TRIES: Final = 2  # of a write that DynamoDB certainly refused; one with unknown outcome is not repeated
RUN_SECONDS: Final = 900  # the maximum duration of a run, after which its item may expire
READ_AT_ONCE: Final = 100  # records of one BatchGetItem
RUNS: Final = "#metrics#runs"
GPU: Final = "#metrics#gpu"

log = logging.getLogger(__name__)


def ended(table: str, job: Job, now: float) -> list[Part]:
    """Return the transaction parts that count a finished job, and delete the note of its run."""
    added = metrics.of_job(job).items()
    parts = [{"Update": _adding(table, _any_shard(), series, columns, now)} for series, columns in added]
    return [*parts, {"Delete": {"TableName": table, "Key": item(RUNS, _run(job))}}]


def running(table: str, job: Job, now: float) -> None:
    """Note the run of a job; whether it still runs is in the job's own item. Never raises."""
    row = item(RUNS, _run(job), expires_at=int(now) + RUN_SECONDS)
    _try_to("note a run", lambda: aws.dynamodb_once().put_item(TableName=table, Item=row))


def gpu_models(table: str, loads: Mapping[str, float], now: float) -> None:
    """Note the seconds that the GPU worker's last load of each model took. Never raises."""
    for model, seconds in loads.items():
        row = item(GPU, model, loaded=1, load_micros=round(seconds * MICRO), at=now)
        _try_to("note a model", lambda row=row: aws.dynamodb_once().put_item(TableName=table, Item=row))


class DynamoCounters:
    """Implements the port Counters."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._busy_until = 0.0

    def request(self, series: Series, columns: Columns, now: float) -> None:
        """Count a request in one write. A throttled write is repeated on another shard; one that may have been made is
        not, and is logged."""
        for number in range(TRIES):
            shard = _any_shard() if now < self._busy_until else 0
            try:
                aws.dynamodb_once().update_item(**_adding(self._table, shard, series, columns, now))
            except aws.failures() as failure:
                refused = isinstance(failure, Unavailable) and aws.surely_not_done(failure)
                if refused and number + 1 < TRIES:
                    self._busy_until = now + BUSY_SECONDS
                    continue
                said = "was not counted" if refused else "may not have been counted"
                log.warning("a request %s", said, extra={"series": list(series), "reason": str(failure)})
            return

    def unloaded(self, models: Iterable[str], now: float) -> None:
        for model in models:
            change = {
                "TableName": self._table,
                "Key": item(GPU, model),
                "UpdateExpression": "SET loaded = :no, #at = :now",
                "ExpressionAttributeNames": {"#at": "at"},
                "ExpressionAttributeValues": values(no=0, now=now),
            }
            _try_to("note a model", lambda change=change: aws.dynamodb_once().update_item(**change))

    def read(self, now: float) -> Figures:
        with ThreadPoolExecutor(SHARDS) as pool:
            shards = list(pool.map(lambda shard: list(_items(self._table, _partition(shard))), range(SHARDS)))
        sums: dict[Series, Counter[str]] = defaultdict(Counter)
        since: dict[Series, float] = {}
        for found in (row for shard in shards for row in shard):
            series = tuple(json.loads(found.pop("sk")))
            begun = float(found.pop("created"))
            since[series] = min(begun, since.get(series, begun))
            del found["pk"]
            for name, value in found.items():
                sums[series][name] += value
        gpu = {
            row["sk"]: GpuModel(
                bool(row["loaded"]), row["load_micros"] / MICRO if "load_micros" in row else None, float(row["at"])
            )
            for row in _items(self._table, GPU)
        }
        counted = {series: Counted(dict(columns), since[series]) for series, columns in sums.items()}
        return Figures(counted, gpu, self._running(now))

    def _running(self, now: float) -> int:
        """Return how many of the noted runs have a job that is running and an unexpired lease."""
        ids: dict[str, list[str]] = defaultdict(list)
        for row in _items(self._table, RUNS):
            tenant, job_id = row["sk"].split("#")
            ids[tenant].append(job_id)
        held = 0
        for tenant, jobs in ids.items():
            for start in range(0, len(jobs), READ_AT_ONCE):
                records = read_items(self._table, tenant, jobs[start : start + READ_AT_ONCE])
                held += sum(job["status"] == RUNNING and job["lease_until"] >= now for job in records)
        return held


def _items(table: str, partition: str) -> Iterator[Values]:
    query: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": values(pk=partition),
        "ConsistentRead": True,
    }
    while True:
        answer = aws.client("dynamodb").query(**query)
        yield from map(plain, answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return
        query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _any_shard() -> int:
    return random.randrange(SHARDS)


def _adding(table: str, shard: int, series: Series, columns: Columns, now: float) -> Part:
    """Return an update that adds to one of the series' items."""
    key = json.dumps(series, separators=(",", ":"))
    return adding(table, _partition(shard), key, columns, {}, {"created": now})


def _partition(shard: int) -> str:
    return f"#metrics#{shard}"


def _run(job: Job) -> str:
    return f"{job.tenant}#{job.id}"


def _try_to(what: str, write: Any) -> None:
    try:
        write()
    except aws.failures() as failure:
        log.warning("could not %s", what, extra={"reason": str(failure)})

"""The deployment's counters in the table `jobs`: one item a series and shard, which is only added to.

The partitions begin with a character that no tenant's name does. A series is spread over SHARDS items, chosen at
random, since DynamoDB writes an item a thousand times a second at the most.
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
TRIES: Final = 2  # of a write that DynamoDB surely refused; one whose end is not known is not repeated
RUN_SECONDS: Final = 900  # the longest run of a job, after which its row may expire
READ_AT_ONCE: Final = 100  # records of one BatchGetItem
RUNS: Final = "#metrics#runs"
GPU: Final = "#metrics#gpu"

log = logging.getLogger(__name__)


def ended(table: str, job: Job, now: float) -> list[Part]:
    """The parts of a transaction that count what a job has done, and that it runs no more."""
    parts = [{"Update": _adding(table, series, columns, now)} for series, columns in metrics.of_job(job).items()]
    return [*parts, {"Delete": {"TableName": table, "Key": item(RUNS, _run(job))}}]


def running(table: str, job: Job, now: float) -> None:
    """Note that a job is run. Whether it still is, its own record says. Never raises."""
    row = item(RUNS, _run(job), expires_at=int(now) + RUN_SECONDS)
    _try_to("note a run", lambda: aws.dynamodb_once().put_item(TableName=table, Item=row))


def gpu_models(table: str, loads: Mapping[str, float], now: float) -> None:
    """Note what the GPU worker said of its models: the seconds that the last load took. Never raises."""
    for model, seconds in loads.items():
        row = item(GPU, model, loaded=1, load_micros=round(seconds * MICRO), at=now)
        _try_to("note a model", lambda row=row: aws.dynamodb_once().put_item(TableName=table, Item=row))


class DynamoCounters:
    """The port Counters."""

    def __init__(self, table: str) -> None:
        self._table = table

    def request(self, series: Series, columns: Columns, now: float) -> None:
        """One write. Refused for want of room, it goes once more to another shard; else it is not repeated, since it
        may have been made: the doubt is one request, and the log names it."""
        from botocore.exceptions import BotoCoreError, ClientError

        for number in range(TRIES):
            try:
                aws.dynamodb_once().update_item(**_adding(self._table, series, columns, now))
            except (BotoCoreError, ClientError, Unavailable) as failure:
                refused = isinstance(failure, Unavailable) and aws.surely_not_done(failure)
                if refused and number + 1 < TRIES:
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
        """The jobs noted as run that their own records call running, under a lease that holds."""
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


def _adding(table: str, series: Series, columns: Columns, now: float) -> Part:
    """An update that adds to one of the series' items."""
    key = json.dumps(series, separators=(",", ":"))
    return adding(table, _partition(random.randrange(SHARDS)), key, columns, {}, {"created": now})


def _partition(shard: int) -> str:
    return f"#metrics#{shard}"


def _run(job: Job) -> str:
    return f"{job.tenant}#{job.id}"


def _try_to(what: str, write: Any) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        write()
    except (BotoCoreError, ClientError, Unavailable) as failure:
        log.warning("could not %s", what, extra={"reason": str(failure)})

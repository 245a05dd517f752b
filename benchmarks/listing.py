"""What a page of jobs costs at 1,000 and at 100,000 jobs: calls, records, and read units by DynamoDB's rule.

The tables are moto's, in this process. Their own time grows with the table, as DynamoDB's does not, so what is compared
is what a page asks of the table, which is also what AWS charges for.
"""

from __future__ import annotations

import argparse
import math
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import boto3
from moto import mock_aws

from lambdas.adapters import aws
from lambdas.adapters.dynamodb.jobs import DynamoJobs, to_item
from lambdas.domain.ids import new_job_id
from lambdas.domain.jobs.job import COMPLETED, FAILED, Attempt, Job, JobFilter, JobStatus
from lambdas.domain.jobs.request import ImageRequest

NOW = 1_790_000_000.0
TENANT, LIMIT = "acme", 20
INDEXES = {"by_project": "project_key", "by_status": "status_key", "by_provider": "provider_key"}
PROJECTS = ("default", "spring", "autumn")
PROVIDERS = ("bedrock", "leonardo_ai", "runware_ai", "gemini")
UNIT = 4096  # bytes of an eventually consistent read that cost half a read unit


@dataclass
class Cost:
    """The cost of a page in DynamoDB."""

    calls: int = 0
    records: int = 0
    units: float = 0.0

    def see(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls += 1
        if model.name == "Query":  # its keys are rounded up together
            self.records += len(parsed["Items"])
            self.units += 0.5 * max(1, math.ceil(sum(map(_size, parsed["Items"])) / UNIT))
        else:  # each record of a batch by itself
            items = [item for found in parsed["Responses"].values() for item in found]
            self.records += len(items)
            self.units += sum(0.5 * math.ceil(_size(item) / UNIT) for item in items)


def _size(item: dict[str, Any]) -> int:
    return sum(len(name) + len(str(next(iter(value.values())))) for name, value in item.items())


def history(count: int) -> Iterator[Job]:
    """Yield jobs a second apart, of three projects and four providers; one in ten has failed."""
    die = random.Random(1)
    for number in range(count):
        at = NOW - count + number
        request = ImageRequest("a fox in the snow " * 8, project_id=die.choice(PROJECTS), width=1024, height=1024)
        provider = die.choice(PROVIDERS)
        status: JobStatus = FAILED if die.random() < 0.1 else COMPLETED
        attempts = (Attempt(provider, "model", "success", None, 4.2, 0.04),)
        yield Job(
            TENANT, new_job_id(at), request, "model", provider, 7, at, status=status, attempts=attempts,
            started_at=at, finished_at=at + 4, expires_at=int(NOW) + 86_400,
        )  # fmt: skip


def fill(count: int) -> None:
    """Fill the table `jobs` with that many jobs."""
    db = aws.client("dynamodb")
    puts = ({"PutRequest": {"Item": to_item(job)}} for job in history(count))
    while some := list(islice(puts, 25)):
        db.batch_write_item(RequestItems={"jobs": some})


PAGES: dict[str, JobFilter] = {
    "all": JobFilter(),
    "of a project": JobFilter(project_id="spring"),
    "failed": JobFilter(status=FAILED),
    "of a provider": JobFilter(provider="gemini"),
    "failed, of a project and a provider": JobFilter(project_id="spring", status=FAILED, provider="gemini"),
    "of an hour": JobFilter(since=NOW - 900, until=NOW - 300),
}


def measured(where: JobFilter, page: int) -> Cost:
    """Return the cost of that page of the list, counted from 0."""
    jobs, cursor = DynamoJobs("jobs", "images"), None
    for _ in range(page):
        cursor = jobs.list(TENANT, where, LIMIT, cursor).next_cursor
    events, cost = aws.client("dynamodb").meta.events, Cost()
    events.register("after-call.dynamodb", cost.see)
    jobs.list(TENANT, where, LIMIT, cursor)
    events.unregister("after-call.dynamodb", cost.see)
    return cost


def run(count: int) -> dict[tuple[str, int], Cost]:
    """Return the costs by list and page number."""
    with mock_aws():
        aws.client.cache_clear()
        _tables()
        fill(count)
        return {(name, page): measured(where, page) for name, where in PAGES.items() for page in (0, 2)}


def _tables() -> None:
    db = boto3.client("dynamodb")
    for table, indexes in (("jobs", INDEXES), ("images", {})):
        names = ("pk", "sk", *indexes.values())
        made = [
            {"IndexName": name, "KeySchema": _keys(column), "Projection": {"ProjectionType": "KEYS_ONLY"}}
            for name, column in indexes.items()
        ]
        db.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=_keys("pk"),
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            **({"GlobalSecondaryIndexes": made} if made else {}),
        )


def _keys(first: str) -> list[dict[str, str]]:
    return [{"AttributeName": first, "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]


def main(sizes: Sequence[int]) -> None:
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-central-1"}
    runs = {size: run(size) for size in sizes}
    print(f"pages of {LIMIT}".ljust(44) + "".join(f"{size:>10,} jobs: calls  records  units" for size in sizes))
    for name, page in runs[sizes[0]]:
        cells = [runs[size][name, page] for size in sizes]
        columns = "".join(f"{c.calls:22}{c.records:9}{c.units:7.1f}" for c in cells)
        ratio = cells[-1].units / cells[0].units
        print(f"{name}, page {page + 1}".ljust(44) + columns + f"   x{ratio:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1_000, 100_000])
    main(parser.parse_args().jobs)

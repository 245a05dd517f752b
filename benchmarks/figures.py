"""What figures cost: a counted request, a scrape of 1,000 series, and a report of 30 days by the number of jobs.

`python -m benchmarks.figures [--rounds N] [--series N] [--jobs N ...]`. DynamoDB answers at once from memory, so these
are the service's own milliseconds of CPU (medians), in turns with a floor: the same request without counters, and the
bare queries without the service.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from statistics import median

from benchmarks.gateway import silence
from benchmarks.zero_delay import ZeroDelayAws, zero_delay
from lambdas.adapters import aws
from lambdas.adapters.dynamodb import analytics as dynamodb_analytics
from lambdas.adapters.dynamodb.analytics import DynamoAnalytics
from lambdas.adapters.dynamodb.counters import SHARDS, DynamoCounters
from lambdas.adapters.dynamodb.items import item
from lambdas.domain import analytics, ids, metrics
from lambdas.domain.analytics import Key
from lambdas.domain.jobs.job import COMPLETED, Attempt, Job
from lambdas.domain.jobs.request import ImageRequest
from tests.api.client import AnyClient
from tests.support.fakes import deps_on_fakes

NOW = 1_790_000_000.0
DAYS = 30
PROVIDERS = ("bedrock", "comfyui", "gemini", "leonardo_ai", "runware_ai", "sagemaker")
PROJECTS = ("default", "spring", "summer", "autumn", "winter")


def in_turns(rounds: int, *works: Callable[[], object]) -> list[float]:
    """Return the median milliseconds of CPU of each."""
    spent: list[list[float]] = [[] for _ in works]
    for number in range(rounds + 3):
        for work, times in zip(works, spent, strict=True):
            began = time.thread_time()
            work()
            if number >= 3:
                times.append((time.thread_time() - began) * 1000)
    return [median(times) for times in spent]


def counted_request(rounds: int) -> tuple[float, float]:
    """Return the milliseconds of a request that is counted, and of the same without counters."""
    plain = deps_on_fakes()
    clients = [AnyClient(replace(plain, counters=c)) for c in (DynamoCounters("jobs"), None)]
    with silence():
        counted, uncounted = in_turns(rounds, *(partial(c, "GET", "/unified/budget") for c in clients))
    return counted, uncounted


def scrape(memory: ZeroDelayAws, series: int, rounds: int) -> tuple[float, float]:
    """Return the wall milliseconds of a scrape, with its text, and of its queries alone."""
    counters = DynamoCounters("jobs")
    for number in range(series):
        seen: Counter[str] = Counter()
        for seconds in (0.01, 0.2, number / series * 30):
            seen.update(metrics.of_request("GET", "x", 200, seconds, rate_limited=False)[1])
        key = f'["http","GET","/route/{number}","200"]'
        memory.rows["jobs", "#metrics#0", key] = item("#metrics#0", key, created=NOW, **seen)
    client = AnyClient(replace(deps_on_fakes(), counters=counters), identity={"auth": "ok", "tenant": "operator"})

    def queries() -> None:
        for shard in range(SHARDS):
            aws.client("dynamodb").query(
                TableName="jobs",
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"#metrics#{shard}"}},
            )

    wall: list[list[float]] = [[], []]
    with silence():
        for _ in range(rounds):
            for work, times in zip((lambda: client("GET", "/metrics"), queries), wall, strict=True):
                began = time.perf_counter()
                work()
                times.append((time.perf_counter() - began) * 1000)
    return median(wall[0]), median(wall[1])


def report(memory: ZeroDelayAws, jobs: int, rounds: int) -> tuple[float, int, int]:
    """Return the milliseconds of a report over that many jobs, with its rows and its calls of DynamoDB."""
    die = random.Random(1)
    sums: dict[Key, Counter[str]] = {}
    for _ in range(jobs):
        at = NOW - die.random() * DAYS * 86_400
        provider, seconds = die.choice(PROVIDERS), die.lognormvariate(1.5, 0.7)
        attempt = Attempt(provider, "model", "success", duration=seconds, cost_usd=0.04)
        request = ImageRequest("a fox", project_id=die.choice(PROJECTS))
        job = Job("acme", ids.new_job_id(at), request, "model", provider, 7, at, status=COMPLETED, attempts=(attempt,))
        for key, columns in analytics.of_job(job).items():
            sums.setdefault(key, Counter()).update(columns)
    for key, columns in sums.items():
        pk, sk = dynamodb_analytics._key("acme", key)
        memory.rows["jobs", pk, sk] = item(pk, sk, expires_at=0, **columns)
    last = datetime.fromtimestamp(NOW, UTC).date()
    client = AnyClient(replace(deps_on_fakes(), analytics=DynamoAnalytics("jobs")))
    url = f"/unified/analytics?from={last - timedelta(days=DAYS)}&to={last}"
    with silence():
        [spent] = in_turns(rounds, lambda: client("GET", url))
        before = memory.calls
        client("GET", url)
    return spent, len(sums), memory.calls - before


def main(rounds: int, series: int, jobs: Sequence[int]) -> None:
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-central-1"}
    with zero_delay() as memory:
        counted, uncounted = counted_request(rounds)
        print(
            f"a request: {uncounted:.2f} ms of CPU, counted {counted:.2f} ms: "
            f"{counted - uncounted:+.2f} ms, {counted / uncounted:.2f} times"
        )
        whole, queries = scrape(memory, series, max(3, rounds // 20))
        print(
            f"a scrape of {series} series: {whole:.0f} ms, "
            f"its queries alone {queries:.0f} ms: {whole / queries:.2f} times"
        )
        spent = []
        for count in jobs:
            memory.rows.clear()
            milliseconds, rows, calls = report(memory, count, max(3, rounds // 20))
            spent.append(milliseconds)
            print(f"a report of {DAYS} days, {count:,} jobs: {milliseconds:.1f} ms of CPU, {rows} rows, {calls} query")
        print(f"with {jobs[-1] / jobs[0]:.0f} times the jobs: {spent[-1] / spent[0]:.2f} times the CPU")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=400)
    options.add_argument("--series", type=int, default=1000)
    options.add_argument("--jobs", type=int, nargs="+", default=[1_000, 100_000])
    given = options.parse_args()
    main(given.rounds, given.series, given.jobs)

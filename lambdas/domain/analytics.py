"""A tenant's daily sums, and the report that is made of them.

A row belongs to a day (of UTC, in which the job was accepted), a project and a provider; the row of a project itself
has the provider "". Every column is a whole number that is only added to, so the rows are written in the transaction
that ends a job, and a report agrees with the records: its sums do not depend on the number of jobs.

Latencies are counted in buckets whose bounds grow by a quarter, from a millisecond to a quarter of an hour. A
percentile is the geometric middle of its bucket, which is at most 12 % from the true value: sqrt(1.25) - 1.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from lambdas.domain.jobs.job import CANCELLED, COMPLETED, Job, StoredImage
from lambdas.domain.limits.budget import MICROUSD, microusd

MAX_DAYS: Final = 400  # of one report
KEPT_DAYS: Final = MAX_DAYS + 31
PAID_ENGINE: Final = "bedrock"  # of those that shorten prompts, the one that charges
MIN_BUCKET_SECONDS: Final = 0.001  # seconds: the upper bound of the first bucket
GROWTH: Final = 1.25
LAST_BUCKET: Final = 62  # whose upper bound is 1,018 s

Columns = Mapping[str, int]


class Key(NamedTuple):
    """Which row: `day` as 2026-11-30; `project` is "" for what belongs to none."""

    day: str
    project: str
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Range:
    """The days of a report, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


@dataclass(frozen=True, slots=True)
class ProviderSums:
    """Of one provider. `latency_p50` and `latency_p95` in seconds, of calls that gave an image; 0 without any."""

    id: str
    attempts: int
    succeeded: int
    failed: int
    success_rate: float
    latency_p50: float
    latency_p95: float
    images: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class Report:
    """The sums of a range. `stored_images` and `stored_bytes` are those of its images that are still there."""

    requests: int
    succeeded: int
    failed: int
    images: int
    cost_usd: float
    providers: tuple[ProviderSums, ...]
    stored_images: int
    stored_bytes: int
    cache_hits: int
    cache_misses: int
    prompts: int
    characters_saved: int


def day_of(at: float) -> str:
    """The day of a Unix time."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def expires_at(day: str) -> int:
    """Until when the rows of a day are kept, in Unix seconds."""
    return int((datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=KEPT_DAYS)).timestamp())


def of_job(job: Job, deleted: Collection[str] = ()) -> dict[Key, Columns]:
    """What a job in its final state adds to each row; of its images these were `deleted` before, by their ids."""
    day, project = day_of(job.created_at), job.request.project_id
    made = () if job.cached else job.images
    whole: Counter[str] = Counter(
        requests=1,
        succeeded=job.status == COMPLETED,
        failed=job.status not in (COMPLETED, CANCELLED),
        images=len(made),
        microusd=microusd(job.cost_usd),
        stored=sum(image.id not in deleted for image in made),
        bytes=sum(image.bytes for image in made if image.id not in deleted),
        hits=job.cached,
        misses=bool(job.cache_key) and not job.cached,
    )
    rows: dict[Key, Counter[str]] = defaultdict(Counter)
    for attempt in job.attempts:
        row = rows[Key(day, project, attempt.provider)]
        row["attempts"] += 1
        row["microusd"] += microusd(attempt.cost_usd)
        if attempt.outcome == "success":
            row["succeeded"] += 1
            row[f"l{bucket(attempt.duration)}"] += 1
    for image in made:
        rows[Key(day, project, image.provider)]["images"] += 1
    if job.rewriting and not job.cached:
        whole["prompts"] = job.rewriting.method != "none"
        whole["saved"] = max(0, len(job.request.prompt) - len(job.prompt)) if whole["prompts"] else 0
        if job.rewriting.cost_usd:
            rows[Key(day, project, PAID_ENGINE)]["microusd"] += microusd(job.rewriting.cost_usd)
    return {key: _present(row) for key, row in {Key(day, project): whole, **rows}.items()}


def of_prompt(at: float, costs: Mapping[str, int], saved: int | None) -> dict[Key, Columns]:
    """What a prompt adds that no job needs: `costs` in micro-dollars by provider; `saved` None: not shortened."""
    day = day_of(at)
    whole = Counter(prompts=saved is not None, saved=saved or 0, microusd=sum(costs.values()))
    rows = {Key(day, "", provider): Counter(microusd=cost) for provider, cost in costs.items()}
    return {key: present for key, row in {Key(day, ""): whole, **rows}.items() if (present := _present(row))}


def of_deletion(image: StoredImage, accepted_at: float) -> dict[Key, Columns]:
    """What the deletion of an image adds, whose job was accepted at that Unix time."""
    return {Key(day_of(accepted_at), image.project_id): {"stored": -1, "bytes": -image.bytes}}


def bucket(seconds: float) -> int:
    """The number of the first bucket whose upper bound is not below this."""
    if seconds <= MIN_BUCKET_SECONDS:
        return 0
    return min(LAST_BUCKET, math.ceil(round(math.log(seconds / MIN_BUCKET_SECONDS, GROWTH), 9)))


def percentile(latencies: Mapping[int, int], share: float) -> float:
    """By the nearest rank, of counts by bucket, in seconds; 0 without any."""
    rank = math.ceil(share * sum(latencies.values()))
    for number, count in sorted(latencies.items()):
        rank -= count
        if rank <= 0:
            return float(round(MIN_BUCKET_SECONDS * GROWTH ** (number - 0.5), 4))
    return 0.0


def report(rows: Iterable[tuple[Key, Columns]], stored_since: str) -> Report:
    """The sums of the rows. Images of days before `stored_since` have expired."""
    whole: Counter[str] = Counter()
    providers: dict[str, Counter[str]] = defaultdict(Counter)
    for key, columns in rows:
        into = providers[key.provider] if key.provider else whole
        for name, value in columns.items():
            if name not in ("stored", "bytes") or key.day >= stored_since:
                into[name] += value
    return Report(
        requests=whole["requests"],
        succeeded=whole["succeeded"],
        failed=whole["failed"],
        images=whole["images"],
        cost_usd=whole["microusd"] / MICROUSD,
        providers=tuple(provider_sums(name, providers[name]) for name in sorted(providers)),
        stored_images=whole["stored"],
        stored_bytes=whole["bytes"],
        cache_hits=whole["hits"],
        cache_misses=whole["misses"],
        prompts=whole["prompts"],
        characters_saved=whole["saved"],
    )


def provider_sums(name: str, columns: Columns) -> ProviderSums:
    """The figures of one provider, of its summed columns."""
    attempts, succeeded = columns.get("attempts", 0), columns.get("succeeded", 0)
    latencies = {int(column[1:]): count for column, count in columns.items() if column[0] == "l"}
    return ProviderSums(
        id=name,
        attempts=attempts,
        succeeded=succeeded,
        failed=attempts - succeeded,
        success_rate=succeeded / attempts if attempts else 0.0,
        latency_p50=percentile(latencies, 0.5),
        latency_p95=percentile(latencies, 0.95),
        images=columns.get("images", 0),
        cost_usd=columns.get("microusd", 0) / MICROUSD,
    )


def _present(row: Counter[str]) -> Columns:
    return {name: int(value) for name, value in row.items() if value}

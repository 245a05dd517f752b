"""Compares the providers' charges with the jobs, the bucket and the month's books."""

from __future__ import annotations

import io
import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from PIL import Image

from lambdas.adapters.dynamodb.counters import DynamoCounters
from lambdas.adapters.dynamodb.items import plain
from lambdas.adapters.dynamodb.jobs import job_of
from lambdas.domain import analytics, catalogue
from lambdas.domain.failures import Outcome
from lambdas.domain.jobs.job import COMPLETED, Attempt, Job
from lambdas.domain.limits import budget
from lambdas.domain.routing import planning
from lambdas.domain.webhooks import DELIVERED
from tests.ledger import stage
from tests.ledger.plan import FREE, Case
from tests.ledger.receiver import Told

if TYPE_CHECKING:
    from tests.ledger.lane import Lane

NUMBER = re.compile(r"red fox number (\d{6})")
# What must be 0, and what it means.
WRONG = {
    "doubles": "charges for an image that its provider had been paid for",
    "silent": "charges that no receipt tells of",
    "misstated": "charges of which a receipt tells another sum",
    "unfinished": "jobs without a final state",
    "needless": "images lost although they could still be had",
    "spoilt": "images of a job that are not in the bucket, not listed, or no pictures",
    "changed": "records that changed after their final state",
    "twice": "requests that one Idempotency-Key made two jobs of",
    "slots": "slots still held at providers for work that is done",
    "unpaid": "images that no charge stands for",
    "untold": "jobs that have ended, and whose receiver was not told how, or whose event has not",
    "unverified": "webhooks with a false signature, or about another end than the record's",
    "needlessly": "webhooks that came again although no attempt was killed",
}
COUNTED = ("jobs", "kills", "charges", "images", "losses", "cautious", "back", "events", "again")


@dataclass
class Account:
    """`rows` by kind and label; `wrong_books` are sentences about months and days whose sums do not agree.

    `told` counts the attempts of all receipts by series and outcome, as the deployment's counters must.
    """

    rows: dict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    fired: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    wrong_books: list[str] = field(default_factory=list)
    unhandled: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    told: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def add(self, other: Account) -> None:
        for key, row in other.rows.items():
            self.rows[key] += row
        self.fired += other.fired
        self.wrong_books += other.wrong_books
        self.unhandled += other.unhandled
        self.examples += other.examples
        self.told += other.told

    def compare(self, counted: Counter[tuple[str, ...]]) -> None:
        """With what the deployment has counted of all lanes together."""
        for series in sorted(self.told.keys() | counted.keys()):
            if self.told[series] != counted[series]:
                said = f"counted {counted[series]} and told {self.told[series]}"
                self.wrong_books.append(f"image_generations_total {' '.join(series)}: {said}")

    @property
    def total(self) -> Counter[str]:
        return sum(self.rows.values(), Counter())

    @property
    def wrong(self) -> dict[str, int]:
        """What is not as it must be."""
        found = {name: self.total[name] for name in WRONG if self.total[name]}
        return found | ({"books": len(self.wrong_books)} if self.wrong_books else {})


@dataclass(frozen=True)
class Call:
    provider: str
    model: str
    number: int  # of the prompt
    seed: int | None
    paid: bool
    microusd: int  # that it was charged


def calls_of(doubles: dict[str, str]) -> list[Call]:
    """Every call for work in the doubles' own ledgers."""
    found = []
    for name, address in doubles.items():
        for call in stage.control(address, "GET", "/_ledger")["calls"]:
            number = NUMBER.search(json.dumps(call["body"]))
            if call.get("stage", "work") != "work":
                continue
            assert number, (name, call)
            usd = budget.microusd(call["usd"])
            found.append(Call(name, call["model"], int(number[1]), call["seed"], call["paid"], usd))
    return found


def read(lane: Lane, cases: list[Case], calls: list[Call], told: list[Told]) -> Account:
    """All records of the lane's tenants against the calls, and against what the receiver was told."""
    account = Account(fired=lane.fired, unhandled=lane.unhandled)
    items = [item for tenant in lane.tenants for item in _query(lane.db, "jobs", tenant)]
    listed = {item["sk"]["S"] for tenant in lane.tenants for item in _query(lane.db, "images", tenant)}
    jobs: dict[int, list[Job]] = defaultdict(list)
    for item in items:
        job = job_of(plain(item))
        jobs[_number_of(job)].append(job)
    called: dict[int, list[Call]] = defaultdict(list)
    for call in calls:
        called[call.number].append(call)
    stored = {job.id: _stored(lane, job, listed) for found in jobs.values() for job in found}
    heard: dict[int, list[Told]] = defaultdict(list)
    for one in told:
        heard[one.number].append(one)
    events = {i["sk"]["S"]: i["state"]["S"] for t in lane.tenants for i in _query(lane.db, "jobs", f"{t}#webhooks")}
    known = {item["sk"]["S"]: item for item in items}
    changed = {key[1] for key, item in lane.ended.items() if known.get(key[1]) != item}
    for case in cases:
        row = Counter(kills=lane.kills[case.number], slots=lane.held[case.number])
        for number in case.prompts:
            row += _telling(jobs[number], heard.pop(number, []), events)
            _enter(row, case, jobs.pop(number, []), called.pop(number, []), stored, changed)
        row["needlessly"] = max(0, row["again"] - lane.unheard[case.number])
        account.rows[case.kind, case.label] += row
        wrong = {name: row[name] for name in WRONG if row[name]}
        if wrong and len(account.examples) < 5:
            account.examples.append(f"{wrong}: {case}")
    assert not jobs, "records of no case"
    assert not called, "calls of no case"
    assert not heard, "webhooks of no case"
    records = [job_of(plain(item)) for item in items]
    account.wrong_books = _wrong_books(lane, records) + _wrong_days(lane, records)
    every = [*records, *(job_of(plain(item)) for item in _query(lane.db, "jobs", lane.warm_tenant))]
    account.told = Counter((a.provider, a.model, a.outcome) for job in every if job.final for a in job.attempts)
    return account


def generations_counted() -> Counter[tuple[str, ...]]:
    """The deployment's counters of calls, by provider, model and outcome."""
    series = DynamoCounters("jobs").read(0.0).series
    return Counter(
        {
            (*labels, outcome): count
            for (kind, *labels), one in series.items()
            for outcome, count in one.columns.items()
            if kind == "generation" and outcome in get_args(Outcome)
        }
    )


def _enter(
    row: Counter[str], case: Case, jobs: list[Job], calls: list[Call], stored: dict[str, set[int]], changed: set[str]
) -> None:
    row["jobs"] += len(jobs)
    row["back"] += sum(job.released for job in jobs)
    row["unfinished"] += sum(not job.final for job in jobs)
    row["twice"] += max(0, len(jobs) - 1)
    row["changed"] += sum(job.id in changed for job in jobs)
    row["spoilt"] += sum(len(job.images) - len(stored[job.id]) for job in jobs)
    row["spoilt"] += sum(job.status == COMPLETED and len(job.images) != job.request.n for job in jobs)
    charged: Counter[tuple[str, int | None]] = Counter()
    charged.update((call.provider, call.seed) for call in calls if call.paid and call.provider not in FREE)
    told: dict[tuple[str, int | None], Counter[str]] = defaultdict(Counter)
    sums: Counter[tuple[str, int | None]] = Counter()
    for call in calls:
        sums[call.provider, call.seed] += call.microusd
    for job in jobs:
        if case.promised and job.final:
            row["needless"] += job.request.n - len(job.images)
        for attempt in job.attempts:
            if attempt.provider not in FREE:
                by = attempt.provider, _seed_of(job, attempt)
                told[by][_says(attempt, stored[job.id])] += 1
                told[by]["cost"] += budget.microusd(attempt.cost_usd)
    for at in {*charged, *told}:
        paid, images, losses = charged[at], told[at]["image"], told[at]["loss"]
        row["charges"] += paid
        row["images"] += min(paid, images)
        row["unpaid"] += max(0, images - paid)
        row["losses"] += min(max(0, paid - images), losses)
        row["cautious"] += max(0, losses - max(0, paid - images))
        row["silent"] += max(0, paid - images - losses)
        row["doubles"] += max(0, paid - 1)
        row["misstated"] += told[at]["cost"] not in (0, sums[at])


def _telling(jobs: list[Job], told: list[Told], events: dict[str, str]) -> Counter[str]:
    """What the receiver heard of the jobs that it is to hear of. An attempt that it failed may come again."""
    row: Counter[str] = Counter()
    ends = {job.id: job for job in jobs if job.final and job.request.webhook_url}
    right = [
        one
        for one in told
        if one.valid
        and one.job in ends
        and (one.id, one.type) == (f"msg_{one.job}", f"generation.{ends[one.job].status}")
        and one.state == ends[one.job].status
    ]
    taken = Counter(one.job for one in right if one.status == 200)
    row["events"] = len(ends)
    row["untold"] = sum(not taken[job_id] or events.get(job_id) != DELIVERED for job_id in ends)
    row["unverified"] = len(told) - len(right)
    row["again"] = sum(count - 1 for count in taken.values())
    return row


def _says(attempt: Attempt, stored: set[int]) -> str:
    """What a receipt says of a call: an image that stands, a charge in vain, or nothing of the kind."""
    if attempt.outcome == "success" and attempt.image in stored:
        return "image"
    return "loss" if attempt.outcome == "unknown" or attempt.cost_usd > 0 else "nothing"


def _stored(lane: Lane, job: Job, listed: set[str]) -> set[int]:
    """Which of the job's images are listed, in the bucket, and pictures of the right size."""
    good = set()
    for index, image in enumerate(job.images):
        try:
            data = lane.s3.get_object(Bucket=stage.BUCKET, Key=image.key)["Body"].read()
            with Image.open(io.BytesIO(data)) as picture:
                picture.load()
                whole = picture.size == (image.width, image.height) == (job.request.width, job.request.height)
        except (lane.s3.exceptions.NoSuchKey, OSError):
            continue
        if whole and len(data) == image.bytes and image.name in listed:
            good.add(index)
    return good


def _wrong_books(lane: Lane, jobs: list[Job]) -> list[str]:
    """Each month's sums against those of its jobs: nothing is left reserved, nothing is booked twice or not."""
    sums: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for job in jobs:
        month = sums[job.tenant, budget.month(job.created_at)]
        cost = budget.microusd(job.cost_usd)
        unsure = [a for a in job.attempts if a.outcome != "success" and a.paid == "unknown" and not a.cost_usd]
        unknown = [catalogue.card(a.model) for a in unsure]
        month["spent_microusd"] += cost
        month["committed_microusd"] += cost
        month["lost_microusd"] += sum(budget.microusd(card.price_usd) for card in unknown if card)
        month["images"] += len(job.images)
        month["committed_images"] += len(job.images)
    wrong = []
    for (tenant, of), expected in sorted(sums.items()):
        key = {"pk": {"S": f"{tenant}#budget"}, "sk": {"S": of}}
        row = lane.db.get_item(TableName="jobs", Key=key, ConsistentRead=True).get("Item", {})
        found = {name: int(value["N"]) for name, value in row.items() if name in expected}
        differs = {name: (found.get(name, 0), owed) for name, owed in expected.items() if found.get(name, 0) != owed}
        if differs:
            wrong.append(f"{tenant} {of}: booked and owed {differs}")
    return wrong


def _wrong_days(lane: Lane, jobs: list[Job]) -> list[str]:
    """Each day's sums against those of its jobs that have ended."""
    owed: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for job in jobs:
        for key, columns in analytics.of_job(job).items() if job.final else ():
            owed[job.tenant, "#".join(key)].update(columns)
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for tenant in lane.tenants:
        for row in map(plain, _query(lane.db, "jobs", f"{tenant}#analytics")):
            columns = {name: value for name, value in row.items() if name not in ("pk", "sk", "expires_at")}
            found[tenant, row["sk"]].update(columns)
    days = sorted(owed.keys() | found.keys())
    return [f"{day}: added {found[day]} and owed {owed[day]}" for day in days if owed[day] != found[day]]


def _number_of(job: Job) -> int:
    found = NUMBER.search(job.request.prompt)
    assert found
    return int(found[1])


def _seed_of(job: Job, attempt: Attempt) -> int:
    card = catalogue.card(attempt.model)
    assert card
    return planning.image_task(job.request, card, job.seed, attempt.image).seed


def _query(db: Any, table: str, key: str) -> list[Any]:
    pages = db.get_paginator("query").paginate(
        TableName=table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": key}},
        ConsistentRead=True,
    )
    return [item for page in pages for item in page["Items"]]

"""Guards of the records of jobs and months, and of the delivery of webhook events."""

from __future__ import annotations

from typing import Final

from tests.mutations.mutation import Mutation

DELIVER: Final = "usecases/webhooks/deliver.py"
TABLE: Final = "adapters/dynamodb/jobs.py"
BOOKS: Final = "adapters/dynamodb/budget.py"
HOOKS: Final = ("usecases/webhooks/test_deliver.py", "usecases/webhooks/test_handed_over.py")
STORED: Final = ("adapters/dynamodb/test_jobs.py", "adapters/dynamodb/test_release.py")

RECORDS: Final = (
    Mutation(
        "an event gets a 13th attempt",
        DELIVER,
        "if event.attempts >= MAX_ATTEMPTS:",
        "if event.attempts > MAX_ATTEMPTS:",
        HOOKS,
    ),
    Mutation(
        "an outage of the queue uses up an attempt",
        DELIVER,
        "        d.outbox.move(claimed, event)\n        raise\n",
        "        raise\n",
        (*HOOKS, "usecases/webhooks/test_faults.py"),
    ),
    Mutation(
        "two messages of one event deliver at once",
        DELIVER,
        "wait = math.ceil(max(due, event.lease_until) - now)",
        "wait = math.ceil(due - now)",
        (*HOOKS, "usecases/webhooks/test_faults.py"),
    ),
    Mutation(
        "a superseded message delivers",
        DELIVER,
        "if event is None or event.state != PENDING or due < event.due:",
        "if event is None or event.state != PENDING:",
        (*HOOKS, "usecases/webhooks/test_faults.py"),
    ),
    Mutation(
        "an address that answered 410 is posted to",
        DELIVER,
        "if d.outbox.disabled(tenant, event.url, now):",
        "if False:",
        HOOKS,
    ),
    Mutation(
        "a job is taken while its lease holds",
        TABLE,
        "(job.status == RUNNING and job.lease_until >= now)",
        "(job.status == RUNNING and job.lease_until >= now + 10)",
        STORED,
    ),
    Mutation(
        "a lease that ends now is over",
        TABLE,
        "(job.status == RUNNING and job.lease_until >= now)",
        "(job.status == RUNNING and job.lease_until > now)",
        STORED,
    ),
    Mutation(
        "an older claim writes",
        TABLE,
        '"ConditionExpression": "#status = :running AND fence = :fence",',
        '"ConditionExpression": "#status = :running AND fence >= :fence",',
        STORED,
    ),
    Mutation(
        "an older claim ends the job",
        TABLE,
        '"ConditionExpression": "#status = :status AND fence = :fence",',
        '"ConditionExpression": "#status = :status AND fence >= :fence",',
        STORED,
    ),
    Mutation(
        "a claim does not see that the lease was renewed",
        TABLE,
        '" AND lease_until = :lease AND doc = :doc"',
        '" AND lease_until >= :lease AND doc = :doc"',
        STORED,
    ),
    Mutation(
        "a claim does not see that a call was put on record",
        TABLE,
        '" AND lease_until = :lease AND doc = :doc"',
        '" AND lease_until = :lease AND (doc = :doc OR attribute_exists(doc))"',
        STORED,
    ),
    Mutation(
        "the month's last cent cannot be spent",
        BOOKS,
        'fits = f"{column} <= :room_{column}"',
        'fits = f"{column} < :room_{column}"',
        ("adapters/dynamodb/test_limits.py", "domain/limits/test_budget.py"),
    ),
    Mutation(
        "the first job of a month may pass its cap",
        BOOKS,
        "if cap >= amount else fits",
        "if cap else fits",
        ("adapters/dynamodb/test_limits.py", "domain/limits/test_budget.py"),
    ),
)

"""Guards of the use cases of jobs and webhooks, and of the table that both are stored in."""

from __future__ import annotations

from typing import Final

from tests.mutations.mutation import Mutation

SUBMIT: Final = "usecases/jobs/submit_job.py"
RUN_JOB: Final = "usecases/jobs/run_job.py"
HANDLE: Final = "usecases/jobs/handle_message.py"
REQUEUE: Final = "usecases/jobs/requeue.py"
DELIVER: Final = "usecases/webhooks/deliver.py"
TABLE: Final = "adapters/dynamodb/jobs.py"
BOOKS: Final = "adapters/dynamodb/budget.py"

RUN: Final = "usecases/jobs/test_run_job.py"
CHAINS: Final = "usecases/jobs/test_chains.py"
LATE: Final = "usecases/jobs/test_requeue.py"
HOOKS: Final = ("usecases/webhooks/test_deliver.py", "usecases/webhooks/test_handed_over.py")
STORED: Final = ("adapters/dynamodb/test_jobs.py", "adapters/dynamodb/test_release.py")

JOBS: Final = (
    Mutation(
        "no watchdog is sent before the record",
        SUBMIT,
        "        deps.queue.send(job.tenant, job.id, watchdog=True, delay=WATCHDOG_SECONDS)\n",
        "        pass\n",
        ("usecases/jobs/test_generate.py", "usecases/jobs/test_accept.py"),
    ),
    Mutation(
        "a key answers for another request",
        SUBMIT,
        "if used.fingerprint != caller.fingerprint:",
        "if False:",
        ("usecases/jobs/test_generate.py", "api/test_fine_print.py"),
    ),
    Mutation(
        "a lost finish is ignored",
        RUN_JOB,
        "        if not deps.jobs.finish(job):\n            raise TakenOver\n",
        "        deps.jobs.finish(job)\n",
        (RUN,),
    ),
    Mutation(
        "a lost save is ignored",
        "usecases/jobs/save.py",
        "    if not saved:\n        raise TakenOver\n",
        "",
        (RUN,),
    ),
    Mutation(
        "a job is given up one run early",
        RUN_JOB,
        "if job.runs > MAX_RUNS:",
        "if job.runs >= MAX_RUNS:",
        (RUN, "usecases/images/test_room.py"),
    ),
    Mutation(
        "a job is given up one run late",
        RUN_JOB,
        "if job.runs > MAX_RUNS:",
        "if job.runs > MAX_RUNS + 1:",
        (RUN, "usecases/images/test_room.py"),
    ),
    Mutation(
        "no time is kept to store what came",
        RUN_JOB,
        "limit = deadline - RESERVE_SECONDS",
        "limit = deadline",
        (RUN, "usecases/images/test_tickets.py"),
    ),
    Mutation(
        "a job that has begun is failed for its age",
        RUN_JOB,
        "if not job.begun and now >= job.created_at + deps.generation_timeout:",
        "if now >= job.created_at + deps.generation_timeout:",
        (RUN, "usecases/images/test_room.py"),
    ),
    Mutation(
        "a watchdog without room sends a second message",
        RUN_JOB,
        "isinstance(outcome, NoRoom) and not watchdog:",
        "isinstance(outcome, NoRoom):",
        ("usecases/images/test_room.py",),
    ),
    Mutation(
        "a job that was lost to another run is queued again",
        RUN_JOB,
        "if deps.jobs.release(job) and isinstance",
        "if (deps.jobs.release(job) or True) and isinstance",
        ("usecases/images/test_room.py", "usecases/images/test_asleep.py"),
    ),
    Mutation(
        "paid engines are asked again for the same prompt",
        RUN_JOB,
        "engines = tuple(engine for engine in engines if not engine.price)",
        "pass",
        ("usecases/money/test_paid_prompts.py",),
    ),
    Mutation(
        "the paid engines are not on record before they are asked",
        RUN_JOB,
        "        save(replace(job, rewriting=Rewriting(warnings=(said,), lost_usd=guessed)), deps)\n",
        "",
        ("usecases/money/test_paid_prompts.py",),
    ),
    Mutation(
        "a job lives ten days",
        HANDLE,
        "LIFE_SECONDS = 24 * 3600",
        "LIFE_SECONDS = 240 * 3600",
        (CHAINS,),
    ),
    Mutation(
        "a job past its life is failed before paid work is collected",
        HANDLE,
        "        run_job(tenant, job_id, deadline, deps, watchdog=True)\n        if not",
        "        if not",
        (CHAINS,),
    ),
    Mutation(
        "a message without a successor is let go",
        HANDLE,
        "raise  # without a successor",
        "return  # without a successor",
        (RUN, CHAINS, "faults/test_outages.py"),
    ),
    Mutation(
        "every message of an old job has a successor",
        HANDLE,
        "if not fail_dead_lettered_job(tenant, job_id, deps) and watchdog:",
        "if not fail_dead_lettered_job(tenant, job_id, deps):",
        (RUN, CHAINS),
    ),
    Mutation(
        "the result of a settled attempt is taken for a late one",
        REQUEUE,
        'if last.outcome != "unknown" or last.error_code or not last.ticket:',
        "if not last.ticket:",
        (LATE,),
    ),
    Mutation(
        "the result of an attempt that was given up is awaited",
        REQUEUE,
        "or last.error_code or not last.ticket",
        "or not last.ticket",
        (LATE,),
    ),
    Mutation(
        "the result of a call without a ticket is awaited",
        REQUEUE,
        "or last.error_code or not last.ticket",
        "or last.error_code",
        (LATE,),
    ),
    Mutation(
        "a tenant may queue one job less",
        "usecases/jobs/check_backlog.py",
        "if own <= most:",
        "if own < most:",
        ("usecases/jobs/test_backlog.py",),
    ),
    Mutation(
        "a backlog at its limit is refused",
        "usecases/jobs/check_backlog.py",
        "if of_all <= limit:",
        "if of_all < limit:",
        ("usecases/jobs/test_backlog.py",),
    ),
    Mutation(
        "the heartbeat ends at its first error",
        "usecases/heartbeat.py",
        "            with suppress(Exception):\n                goes_on = beat()\n",
        "            goes_on = False\n            with suppress(Exception):\n                goes_on = beat()\n",
        ("usecases/test_heartbeat.py",),
    ),
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

"""Guards of the use cases that accept and run jobs."""

from __future__ import annotations

from typing import Final

from tests.mutations.mutation import Mutation

SUBMIT: Final = "usecases/jobs/submit_job.py"
REPEATABLE: Final = "usecases/jobs/repeatable.py"
RUN_JOB: Final = "usecases/jobs/run_job.py"
HANDLE: Final = "usecases/jobs/handle_message.py"
REQUEUE: Final = "usecases/jobs/requeue.py"
RUN: Final = "usecases/jobs/test_run_job.py"
CHAINS: Final = "usecases/jobs/test_chains.py"
LATE: Final = "usecases/jobs/test_requeue.py"

JOBS: Final = (
    Mutation(
        "the watchdog is sent after the record",
        SUBMIT,
        """        deps.queue.send(job.tenant, job.id, watchdog=True, delay=WATCHDOG_SECONDS)
    deps.projects.ensure(job.tenant, job.request.project_id, job.created_at)
    earlier = deps.jobs.create(job, key, deps.caps, sent)
""",
        """        pass
    deps.projects.ensure(job.tenant, job.request.project_id, job.created_at)
    earlier = deps.jobs.create(job, key, deps.caps, sent)
    deps.queue.send(job.tenant, job.id, watchdog=True, delay=WATCHDOG_SECONDS)
""",
        ("usecases/jobs/test_generate.py",),
    ),
    Mutation(
        "a key answers for another request",
        SUBMIT,
        "if used.fingerprint != caller.fingerprint:",
        "if False:",
        ("usecases/jobs/test_generate.py", "api/test_fine_print.py"),
    ),
    Mutation(
        "two repetitions take the same job",
        "adapters/dynamodb/asked.py",
        "holder = :holder AND sending = :number AND outcome = :state",
        "attribute_exists(pk) OR holder = :holder OR sending = :number OR outcome = :state",
        ("api/test_images_retries.py",),
    ),
    Mutation(
        "a repetition makes anew what may have been paid",
        REPEATABLE,
        """free = not job.cost_usd and all(attempt.paid == "no" for attempt in job.attempts)""",
        "free = True",
        ("api/test_images.py",),
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
        ("usecases/images/test_tickets.py",),
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
)

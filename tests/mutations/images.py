"""Guards of the use cases that ask for an image."""

from __future__ import annotations

from typing import Final

from tests.mutations.mutation import Mutation

MAKE: Final = "usecases/images/make_image.py"
ATTEMPT: Final = "usecases/images/attempt.py"
ASK: Final = "usecases/images/ask_provider.py"
ROOM: Final = "usecases/images/test_room.py"
RESTART: Final = "usecases/images/test_restart.py"
FALLBACK: Final = "usecases/images/test_fallback.py"
TICKETS: Final = "usecases/images/test_tickets.py"
RUN: Final = "usecases/jobs/test_run_job.py"
WALLS: Final = "usecases/money/test_failure_boundary.py"

IMAGES: Final = (
    Mutation(
        "a job that has begun is given back",
        MAKE,
        "if not job.begun and now + pause > min(patience, limit):",
        "if now + pause > min(patience, limit):",
        (ROOM,),
    ),
    Mutation(
        "a job waits for its provider without end",
        MAKE,
        "return until if until < job.created_at + RESTART_SECONDS else None",
        "return until",
        (RESTART,),
    ),
    Mutation(
        "a restart of 30 seconds is not waited for",
        MAKE,
        "RESTART_SECONDS = 75.0",
        "RESTART_SECONDS = 20.0",
        (RESTART,),
    ),
    Mutation(
        "a job that has an image goes back",
        MAKE,
        "if reached or job.begun or not cards:",
        "if reached or not cards:",
        (RESTART, ROOM),
    ),
    Mutation(
        "the next model is asked after a final failure",
        MAKE,
        "if failed and not may_ask_next(failed, job, index):",
        "if failed and failed.made and not may_ask_next(failed, job, index):",
        (FALLBACK,),
    ),
    Mutation(
        "a model is asked after the limit",
        MAKE,
        "if deps.clock.now() >= limit:\n            return Failed",
        "if deps.clock.now() >= limit + 1000:\n            return Failed",
        (RUN, ROOM),
    ),
    Mutation(
        "resting models count as others to ask",
        MAKE,
        'sum(availability(other, deps) != "no" for other in cards[position + 1 :])',
        "len(cards[position + 1 :])",
        (FALLBACK,),
    ),
    Mutation(
        "a call keeps its slot",
        ATTEMPT,
        "deps.slots.release(card.provider, call)  # once the bytes are safe",
        "pass",
        (ROOM,),
    ),
    Mutation(
        "the intent is recorded after the paid call",
        ATTEMPT,
        """        save(begun, deps, retry=card.price_usd > 0)  # the intent is on record before anything is paid
        image = ask(provider, task, leave, deps.clock, accepted)
""",
        """        image = ask(provider, task, leave, deps.clock, accepted)
        save(begun, deps, retry=card.price_usd > 0)
""",
        (RUN,),
    ),
    Mutation(
        "the probe is not claimed",
        ATTEMPT,
        "if number == 1 and not candidates.claim_call(card, deps):",
        'if number == 1 and candidates.availability(card, deps) == "no":',
        (ROOM,),
    ),
    Mutation(
        "a busy model is waited for while others are left",
        ATTEMPT,
        "wait = None if others else retry_wait(called.failure, number)",
        "wait = retry_wait(called.failure, number)",
        (FALLBACK,),
    ),
    Mutation(
        "a hint past the deadline is waited for",
        ATTEMPT,
        "if wait is None or deps.clock.now() + wait >= limit:",
        "if wait is None:",
        (RUN,),
    ),
    Mutation(
        "a worker leaves a call that has no ticket",
        ATTEMPT,
        "failure.code == Failure.TIMEOUT and begun.attempts[-1].ticket and leave <= deps.clock.now() < until",
        "failure.code == Failure.TIMEOUT and leave <= deps.clock.now() < until",
        (TICKETS,),
    ),
    Mutation(
        "a slot is taken after the limit",
        ATTEMPT,
        "if now < limit and deps.slots.acquire(",
        "if deps.slots.acquire(",
        (ROOM,),
    ),
    Mutation(
        "the ticket is not stored before the first poll",
        ATTEMPT,
        "        save(begun, deps, retry=True)\n",
        "",
        (TICKETS,),
    ),
    Mutation(
        "a call is repeated although it may be paid",
        ASK,
        'if not CONSEQUENCES[failure.code].retry or failure.paid != "no" or number >= MAX_TRIES:',
        "if not CONSEQUENCES[failure.code].retry or number >= MAX_TRIES:",
        (RUN,),
    ),
    Mutation(
        "a refused submission is polled",
        ASK,
        'if failure.paid != "unknown" or not provider.client_chooses_id:',
        "if not provider.client_chooses_id:",
        (TICKETS,),
    ),
    Mutation(
        "a lost submission under their own id is polled",
        ASK,
        'if failure.paid != "unknown" or not provider.client_chooses_id:',
        'if failure.paid != "unknown":',
        (TICKETS,),
    ),
    Mutation(
        "polls that break never end",
        ASK,
        "if broken == MAX_BROKEN:",
        "if broken == MAX_BROKEN + 100:",
        (WALLS,),
    ),
)

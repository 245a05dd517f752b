"""Guards of the use cases that make an image."""

from __future__ import annotations

from typing import Final

from tests.mutations.mutation import Mutation

MAKE: Final = "usecases/images/make_image.py"
ATTEMPT: Final = "usecases/images/attempt.py"
RESUME: Final = "usecases/images/resume.py"
CANDIDATES: Final = "usecases/images/candidates.py"
STORE: Final = "usecases/images/store_image.py"
ASK: Final = "usecases/images/ask_provider.py"

ROOM: Final = "usecases/images/test_room.py"
RESTART: Final = "usecases/images/test_restart.py"
FALLBACK: Final = "usecases/images/test_fallback.py"
TICKETS: Final = "usecases/images/test_tickets.py"
RUN: Final = "usecases/jobs/test_run_job.py"
PAID: Final = "usecases/money/test_what_was_paid.py"
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
        "every caller gets the probe",
        CANDIDATES,
        'found == "yes" or (found == "probe" and deps.health.claim_probe(card.provider, deps.clock.now()))',
        'found != "no"',
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
        "an attempt that has ended is taken up again",
        RESUME,
        'last.outcome != "unknown" or last.error_code:',
        'last.outcome != "unknown":',
        (ROOM,),
    ),
    Mutation(
        "an interrupted paid call is made again",
        RESUME,
        "free = card is not None and card.price_usd == 0",
        "free = card is not None",
        (RUN,),
    ),
    Mutation(
        "an interrupted free call is a loss",
        RESUME,
        "None if free else lost)",
        "lost)",
        (RUN,),
    ),
    Mutation(
        "a slot is kept where stored bytes are taken up",
        RESUME,
        "        deps.slots.release(card.provider, _call_id(job, card, index))\n        if paid",
        "        if paid",
        (ROOM,),
    ),
    Mutation(
        "a slot is kept where a ticket is taken up",
        RESUME,
        "deps.slots.release(card.provider, _call_id(job, card, index))  # which the interrupted run could not",
        "pass",
        (ROOM,),
    ),
    Mutation(
        "bytes that nobody could read are stored as an image",
        RESUME,
        'if paid == "yes":',
        "if paid:",
        (PAID,),
    ),
    Mutation(
        "an interruption counts against the provider's health",
        STORE,
        "if not resumed:  #",
        "if not resumed or resumed:  #",
        (RUN, TICKETS),
    ),
    Mutation(
        "the last loss counts twice",
        CANDIDATES,
        "for a in job.attempts[:-1] if a.image == index)",
        "for a in job.attempts if a.image == index)",
        (FALLBACK,),
    ),
    Mutation(
        "the losses of other images count",
        CANDIDATES,
        "for a in job.attempts[:-1] if a.image == index)",
        "for a in job.attempts[:-1])",
        (FALLBACK,),
    ),
    Mutation(
        "charges for nothing are not counted as losses",
        CANDIDATES,
        'if a.outcome == "unknown" or (a.cost_usd > 0 and a.outcome != "success"))',
        'if a.outcome == "unknown")',
        (FALLBACK,),
    ),
    Mutation(
        "a call that may be paid counts as one that did not arrive",
        CANDIDATES,
        'attempt.error_code == Failure.UNAVAILABLE and attempt.paid == "no"',
        "attempt.error_code == Failure.UNAVAILABLE",
        (FALLBACK,),
    ),
    Mutation(
        "a cut-out that was called for in vain is paid again",
        CANDIDATES,
        "return card is not None and job.cutout is None and card.background_remover in asked",
        "return False",
        ("usecases/images/test_product_background.py",),
    ),
    Mutation(
        "raw bytes are looked at before they are stored",
        STORE,
        "    if card.price_usd > 0 or cost:\n        retry_while_unavailable",
        "    if cost < 0:\n        retry_while_unavailable",
        (RUN,),
    ),
    Mutation(
        "raw bytes of a free model that charged are not stored",
        STORE,
        "    if card.price_usd > 0 or cost:\n        retry_while_unavailable",
        "    if card.price_usd > 0:\n        retry_while_unavailable",
        (WALLS, PAID),
    ),
    Mutation(
        "a spoilt image of a free model that charged costs nothing",
        STORE,
        "        if card.price_usd > 0 or cost:\n            failure.paid",
        "        if card.price_usd > 0:\n            failure.paid",
        (WALLS, PAID),
    ),
    Mutation(
        "the price that a ticket named is forgotten when its call fails",
        STORE,
        '    if attempt.paid == "yes":\n        return attempt.cost_usd, "yes"\n',
        "",
        (PAID, TICKETS),
    ),
    Mutation(
        "an answer that surely cost nothing is stored",
        STORE,
        'if answer and failure.paid != "no":',
        "if answer:",
        (PAID,),
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

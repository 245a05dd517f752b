"""Guards of resuming, fallback and storing."""

from __future__ import annotations

from typing import Final

from tests.mutations.mutation import Mutation

RESUME: Final = "usecases/images/resume.py"
CANDIDATES: Final = "usecases/images/candidates.py"
STORE: Final = "usecases/images/store_image.py"
ROOM: Final = "usecases/images/test_room.py"
FALLBACK: Final = "usecases/images/test_fallback.py"
TICKETS: Final = "usecases/images/test_tickets.py"
RUN: Final = "usecases/jobs/test_run_job.py"
PAID: Final = "usecases/money/test_what_was_paid.py"
WALLS: Final = "usecases/money/test_failure_boundary.py"

ANSWERS: Final = (
    Mutation(
        "every caller gets the probe",
        CANDIDATES,
        'found == "yes" or (found == "probe" and deps.health.claim_probe(card.provider, deps.clock.now()))',
        'found != "no"',
        (ROOM,),
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
        (RUN,),
    ),
)

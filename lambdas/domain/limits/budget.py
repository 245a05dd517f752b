"""Computes a tenant's monthly budget: the reservation when a job is accepted, and the settlement when it has ended.

All sums are whole micro-dollars, months are those of UTC, and a job belongs to the month in which it was accepted. The
month's books hold `committed` (spent and reserved together, which is compared with a cap), `spent`, and `lost`: the
list price of calls of which it is unknown whether they were charged, the operator's loss and not the tenant's.

A job reserves the most expensive model of its plan for each of its images, so that no fallback can exceed the cap, and
the maximum cost of a language model if its prompt is to be shortened. Its cost then replaces the reservation. A month
can exceed its cap only if a provider charges more than its list price, or charges for an answer without an image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from lambdas.domain import catalogue
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import BudgetExceeded
from lambdas.domain.jobs.job import Job
from lambdas.domain.jobs.request import BACKGROUND

MICROUSD: Final = 1_000_000
KEPT: Final = timedelta(days=400)  # how long a month's books stay after its end


@dataclass(frozen=True, slots=True)
class Caps:
    """What a tenant may use in a month; 0 is no cap."""

    microusd: int = 0
    images: int = 0

    @classmethod
    def of(cls, usd: float, images: int) -> Caps:
        return cls(microusd(usd), images)

    @property
    def any(self) -> bool:
        return self.microusd > 0 or self.images > 0


NO_CAPS: Final = Caps()


@dataclass(frozen=True, slots=True)
class Committed:
    """What is spent and reserved together in a month, and what of it is spent."""

    microusd: int = 0
    images: int = 0
    spent_microusd: int = 0
    made_images: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a job's end adds to each column of its month's books; a committed column may shrink."""

    committed_microusd: int
    spent_microusd: int
    lost_microusd: int
    committed_images: int
    images: int

    @property
    def any(self) -> bool:
        columns = (self.committed_microusd, self.spent_microusd, self.lost_microusd, self.committed_images, self.images)
        return columns != (0, 0, 0, 0, 0)


def microusd(usd: float) -> int:
    return round(usd * MICROUSD)


def month(at: float) -> str:
    """The month of a Unix time, as `2026-11`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m")


def month_end(at: float) -> datetime:
    """The first moment of the following month."""
    day = datetime.fromtimestamp(at, UTC)
    return datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)


def reserving(job: Job, caps: Caps, text_usd: float = 0.0) -> Job:
    """The job with what it reserves: nothing without a cap, and nothing where it has its images already.

    `text_usd` is the most that the shortening of its prompt can cost.
    """
    if job.final or not caps.any:
        return job
    dearest = max((_price(card, job) for model in job.plan if (card := catalogue.card(model))), default=0.0)
    price = math.ceil(round(dearest * MICROUSD, 3))
    return replace(job, reserved_microusd=price * job.request.n + microusd(text_usd), reserved_images=job.request.n)


def _price(card: ModelCard, job: Job) -> float:
    """Of one image, with the cutting out of its product where another model is paid for that."""
    remover = (
        catalogue.card(card.background_remover) if job.request.task == BACKGROUND and not job.request.cut_out else None
    )
    return card.price_usd + (remover.price_usd if remover else 0.0)


def settlement(job: Job) -> Settlement:
    """What the final state of a job means for its month: its reservation goes, its real cost stays."""
    spent = microusd(job.cost_usd)
    unsure = (catalogue.card(a.model) for a in job.attempts if a.unsure)
    lost = sum(microusd(card.price_usd) for card in unsure if card)
    lost += microusd(job.rewriting.lost_usd) if job.rewriting else 0
    made = len(job.images)
    return Settlement(
        committed_microusd=spent - job.reserved_microusd,
        spent_microusd=spent,
        lost_microusd=lost,
        committed_images=made - job.reserved_images,
        images=made,
    )


def check(job: Job, caps: Caps, committed: Committed) -> Committed:
    """What is committed with the job's reservation. Raises BudgetExceeded where that passes a cap.

    It is checked so that a refused request leaves nothing behind; the transaction that stores the job decides.
    """
    money, images = job.reserved_microusd, job.reserved_images
    after = replace(committed, microusd=committed.microusd + money, images=committed.images + images)
    if (money and 0 < caps.microusd < after.microusd) or (images and 0 < caps.images < after.images):
        raise exceeded(caps, job.created_at)
    return after


def exceeded(caps: Caps, at: float) -> BudgetExceeded:
    """That a job accepted at `at` would pass a cap."""
    named = [f"{caps.microusd / MICROUSD:,.2f} USD"] if caps.microusd > 0 else []
    named += [f"{caps.images:,} images"] if caps.images > 0 else []
    wait = max(1, math.ceil(month_end(at).timestamp() - at))
    return BudgetExceeded(f"this would pass the month's budget of {' and '.join(named)}", retry_after=wait)

"""The executable model: permitted transitions of a job, who may pay, and the invariants of the final state.

It knows nothing of tables and conditions. It is told of every change of a record, with the process that made it, and
of every call that reaches a provider; each law has a name, with which it breaks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lambdas.domain import catalogue, ids
from lambdas.domain.jobs.job import CANCELLED, COMPLETED, FAILED, QUEUED, RUNNING, Attempt, Job
from lambdas.domain.webhooks import Event
from tests.interleavings.providers import PAID, Call
from tests.interleavings.scheduler import Actor
from tests.support.budget_model import Books

KEY_SECONDS = 24 * 3600
MICROUSD = 1_000_000


class LawBroken(AssertionError):
    """Named by its law."""


def law(name: str, holds: object, *details: Any) -> None:
    if not holds:
        raise LawBroken(f"{name}: {details}")


@dataclass
class Model:
    """What is known so far: who holds each job, and which jobs each Idempotency-Key stood for."""

    holders: dict[str, Actor] = field(default_factory=dict)
    made: dict[str, list[tuple[float, str, str]]] = field(default_factory=dict)  # key -> (when, job, fingerprint)
    tried: dict[str, set[str]] = field(default_factory=dict)  # key -> fingerprints
    accepted: set[str] = field(default_factory=set)
    sleeper: str = ""  # the one provider with which a job's work is left
    places: dict[str, tuple[str, int, int]] = field(default_factory=dict)  # order id -> (job, image, number)

    def changed(self, before: Job | None, after: Job, by: Actor, now: float) -> None:
        """A step of `by` has changed a record."""
        if before is None:
            self._begun(after, by)
            return
        law("a final state never changes", not before.final, before, after, by.name)
        law("a fence only grows", after.fence in (before.fence, before.fence + 1), before.fence, after.fence, by.name)
        if after.fence > before.fence:
            self._claimed(before, after, by, now)
        elif after.status == QUEUED:
            left = bool(before.attempts) and before.attempts[-1].provider == self.sleeper and before.attempts[-1].ticket
            law("only what is not begun is given back", before.status == RUNNING and (left or not before.attempts))
            law("only the newest fence writes", by.root is self.holders[after.id], by.name)
        elif after.status == CANCELLED:
            law("only a queued job is cancelled", before.status == QUEUED, before, by.name)
        else:
            law("only a run writes progress", before.status == RUNNING, before.status, after.status, by.name)
            holder = self.holders[after.id]
            law("only the newest fence writes", by.root is holder, by.name, holder.name)
            law("a run ends in one of its ends", after.status in (RUNNING, COMPLETED, FAILED), after.status)
            law("a lease is not shortened", after.final or after.lease_until >= before.lease_until, by.name)
            _receipt_grows(before, after)

    def _begun(self, job: Job, by: Actor) -> None:
        law("only a submission makes a record", by.kind == "api", by.name)
        law("a record begins queued or ended", (job.status == QUEUED or job.final) and job.fence == 0, job)
        law("a record begins with nothing asked", not job.attempts, job)
        key, fingerprint = by.notes.get("key"), by.notes["fingerprint"]
        if key and not by.notes.get("batch"):
            self._used(key, job.created_at, job.id, fingerprint)

    def _used(self, key: str, at: float, found: str, fingerprint: str) -> None:
        uses = self.made.setdefault(key, [])
        living = [use for use in uses if at <= int(use[0]) + KEY_SECONDS and use[1] != found]
        law("a key makes one job in its day", not living, living, found)
        uses.append((at, found, fingerprint))

    def _claimed(self, before: Job, after: Job, by: Actor, now: float) -> None:
        free = before.status == QUEUED or (before.status == RUNNING and before.lease_until < now)
        law("a claim takes what is free", free and after.status == RUNNING, before.status, before.lease_until, now)
        law("a claim loses nothing of the record", _work(before) == _work(after), _work(before), _work(after), by.name)
        self.holders[after.id] = by.root

    def answered(self, actor: Actor) -> None:
        """A client got its answer, or an error."""
        key, fingerprint = actor.notes.get("key"), actor.notes["fingerprint"]
        if actor.result is None:
            code = getattr(actor.error, "code", None)
            told = ("budget_exceeded", "still_in_progress", "idempotency_mismatch")
            law("no answer is an accident", code in told or actor.notes.get("faulted"), actor.name, repr(actor.error))
            if code == "idempotency_mismatch":
                others = self.tried.get(key or "", set()) - {fingerprint}
                law("a key is refused for another request only", others, actor.name, repr(actor.error))
            return
        found, job_ids = actor.result
        self.accepted.update(job_ids)
        if not key:
            return
        uses = self.made.setdefault(key, [])
        if actor.notes.get("batch") and all(use[1] != found for use in uses):
            self._used(key, actor.notes["at"], found, fingerprint)
        law("a key answers with its own job", (found, fingerprint) in [use[1:] for use in uses], found, uses)

    def asked(self, call: Call, calls: Iterable[Call], rows: Mapping[str, Job]) -> None:
        """A call for work has reached a provider; `calls` are all that ever did."""
        job, image, number = self.place(call, rows)
        attempts = _attempts(job, call.model, image)
        law("the intent is on record before the call", len(attempts) > number, call, job.attempts)
        if call.provider not in PAID:
            return
        for earlier in calls:
            if earlier is call or earlier.provider != call.provider:
                continue
            its_job, its_image, its_number = self.place(earlier, rows)
            if (its_job.id, its_image) == (job.id, image):
                said = _attempts(job, earlier.model, image)[its_number]
                unpaid = said.outcome == "failed" and said.error_code and not said.cost_usd and not earlier.charged
                law("no provider is asked again after it may have been paid", unpaid, call, earlier, said)

    def place(self, call: Call, rows: Mapping[str, Job]) -> tuple[Job, int, int]:
        """The job, the image and the number of the call, found by its id."""
        if call.order_id not in self.places:
            self.places |= {
                ids.call_id(job.id, image, call.model, number): (job.id, image, number)
                for job in rows.values()
                for image in range(job.request.n)
                for number in range(20)
            }
        job_id, image, number = self.places[call.order_id]
        return rows[job_id], image, number

    def books(self, rows: Mapping[str, Job], books: Mapping[str, Books]) -> None:
        """The month's books are the sum of the records, at every moment."""
        wanted: dict[str, Books] = {}
        for job in rows.values():
            month = datetime.fromtimestamp(job.created_at, UTC).strftime("%Y-%m")
            sums = wanted.setdefault(month, Books())
            spent = sum(round(a.cost_usd * MICROUSD) for a in job.attempts)
            if not job.final:
                sums.committed_microusd += job.reserved_microusd
                sums.committed_images += job.reserved_images
                continue
            if job.cached:  # another job's images, which are paid
                continue
            sums.committed_microusd += spent
            sums.spent_microusd += spent
            sums.lost_microusd += sum(_loss(a) for a in job.attempts)
            sums.committed_images += len(job.images)
            sums.images += len(job.images)
        for month, sums in wanted.items():
            law("the books are the sum of the records", books.get(month, Books()) == sums, books.get(month), sums)

    def events(self, rows: Mapping[str, Job], events: Mapping[str, Event]) -> None:
        """A job's event is there from its end on, and not before."""
        ended = {job.id: f"generation.{job.status}" for job in rows.values() if job.final and job.request.webhook_url}
        law("a job's end and its event are one", ended == {i: e.type for i, e in events.items()}, ended, events)

    def told(self, events: Mapping[str, Event], got: Mapping[str, set[str]]) -> None:
        """Nothing moves any more: every receiver has been told, or the event shows why not."""
        for job_id, event in events.items():
            law("every event ends", event.state != "pending", event)
            bodies = got.get(event.id, set())
            law("an event that is delivered has been received", event.state != "delivered" or bodies, event)
            law("an event tells of the one end", bodies <= {f"{event.type} {event.type.split('.')[1]}"}, job_id, bodies)

    def at_rest(self, rows: Mapping[str, Job], calls: Iterable[Call], images: frozenset[str]) -> None:
        """Nothing moves any more."""
        for job_id in self.accepted:
            law("an accepted job is there", job_id in rows, job_id)
        charges: Counter[tuple[str, int, str]] = Counter()
        for call in calls:
            if call.charged and call.provider in PAID:
                job, image, _ = self.place(call, rows)
                charges[job.id, image, call.provider] += 1
        for job in rows.values():
            law("every job ends", job.final, job)
            self._paid_for(job, charges)
            if job.status == COMPLETED:
                law("a completed job has its images", len(job.images) == job.request.n, job)
                law("its images are listed", {i.name for i in job.images} <= images, job)
            elif job.status == CANCELLED:
                law("a cancelled job asked nobody", not job.attempts, job)

    def _paid_for(self, job: Job, charges: Counter[tuple[str, int, str]]) -> None:
        """Charges are the stored images and the recorded losses."""
        told: Counter[tuple[str, int, str]] = Counter()
        had: Counter[tuple[str, int, str]] = Counter()
        for attempt in job.attempts:
            at = (job.id, attempt.image, attempt.provider)
            if attempt.provider in PAID:
                told[at] += bool(attempt.outcome in ("success", "unknown") or attempt.cost_usd)
                had[at] += bool(attempt.outcome == "success" or attempt.cost_usd)
        for at in {*told, *(at for at in charges if at[0] == job.id)}:
            law("a charge is on the receipt, as an image or as a loss", charges[at] <= told[at], at, job.attempts)
            law("what is on the receipt was charged", had[at] <= charges[at], at, job.attempts)
        if not job.cached:
            made = [a.image for a in job.attempts if a.outcome == "success"]
            law("one success for each image", made[: len(job.images)] == list(range(len(job.images))), job)


def _attempts(job: Job, model: str, image: int) -> list[Attempt]:
    return [a for a in job.attempts if (a.model, a.image) == (model, image)]


def _work(job: Job) -> tuple[Any, ...]:
    return job.attempts, job.images, job.prompt, job.plan, job.reserved_microusd, job.reserved_images


def _loss(attempt: Attempt) -> int:
    card = catalogue.card(attempt.model)
    unsure = attempt.outcome != "success" and attempt.paid == "unknown" and not attempt.cost_usd
    return round(card.price_usd * MICROUSD) if card and unsure else 0


def _receipt_grows(before: Job, after: Job) -> None:
    """What is settled stays; the last attempt may be settled, and more may follow."""
    known, now = before.attempts, after.attempts
    law("the receipt only grows", len(now) >= len(known) and now[: len(known) - 1] == known[:-1], known, now)
    if known:
        last, same = known[-1], now[len(known) - 1]
        settled = last.outcome != "unknown" or last.error_code
        kept = last == same if settled else (last.model, last.image) == (same.model, same.image)
        law("what is settled stays", kept, last, same)
    law("images are only added", after.images[: len(before.images)] == before.images, before.images, after.images)

"""Providers that issue tickets: the ticket is stored first, and another run can resume by it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from lambdas.domain import catalogue
from lambdas.domain.failures import Failure, ProviderFailure
from lambdas.domain.jobs.job import COMPLETED, FAILED, Attempt, Job
from lambdas.domain.jobs.request import GeneratedImage, ImageRequest, ImageTask, Ticket
from lambdas.usecases.images.ask_provider import MAX_STAY_SECONDS
from lambdas.usecases.jobs.run_job import LEASE_SECONDS, RESERVE_SECONDS, run_job
from lambdas.usecases.jobs.submit_job import Caller, submit_job
from tests.support.fakes import FakeProviders, Fakes


@dataclass
class TicketOffice:
    """Accepts work and is done with it after `looks` looks."""

    client_chooses_id: bool = True
    notifies_completion: bool = False
    looks: int = 3
    submit_fails: Exception | None = None
    collect_fails: list[Exception] = field(default_factory=list)
    orders: list[ImageTask] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    on_collect: object = None

    def submit(self, order: ImageTask, timeout: float) -> Ticket:
        self.orders.append(order)
        if self.submit_fails:
            raise self.submit_fails
        return Ticket(order.id if self.client_chooses_id else f"theirs-{len(self.orders)}", cost_usd=0.0123)

    def collect(self, ticket: Ticket, order: ImageTask, timeout: float) -> GeneratedImage | None:
        self.asked.append(ticket.id)
        if callable(self.on_collect):
            self.on_collect()
        if self.collect_fails:
            raise self.collect_fails.pop(0)
        return GeneratedImage(b"%dx%d:x" % order.generate, order.seed) if len(self.asked) >= self.looks else None


def office(**settings: object) -> tuple[Fakes, TicketOffice]:
    made = TicketOffice(**settings)  # type: ignore[arg-type]
    return Fakes(providers=FakeProviders(bedrock=made)), made


def submitted(deps: Fakes) -> Job:
    return submit_job(ImageRequest("x"), Caller("acme", "r"), deps)[0]


def run(deps: Fakes, job: Job, seconds: float = 800) -> Job:
    ended = run_job(job.tenant, job.id, deps.clock.now() + seconds, deps)
    assert ended
    return ended


def test_the_work_is_asked_after_until_it_is_done() -> None:
    deps, at = office()
    job = run(deps, submitted(deps))
    assert job.status == COMPLETED
    assert (len(at.orders), len(at.asked)) == (1, 3)
    assert job.attempts[0].cost_usd == 0.0123
    assert job.attempts[0].ticket == at.orders[0].id


def test_the_ticket_is_on_record_before_it_is_asked_after() -> None:
    seen: list[str | None] = []
    deps, at = office()
    job = submitted(deps)
    at.on_collect = lambda: seen.append(deps.jobs.get("acme", job.id).attempts[-1].ticket)  # type: ignore[union-attr]
    run(deps, job)
    assert seen[0] == at.orders[0].id


def test_a_look_that_fails_is_made_again() -> None:
    passing = [ProviderFailure(Failure.UNAVAILABLE, "x"), ProviderFailure(Failure.THROTTLED, "x", retry_after=2)]
    deps, _ = office(collect_fails=passing)
    assert run(deps, submitted(deps)).status == COMPLETED


@pytest.mark.parametrize("code", [Failure.FAILED, Failure.CONTENT_POLICY, Failure.OUTCOME_UNKNOWN])
def test_work_that_ended_badly(code: Failure) -> None:
    deps, at = office(collect_fails=[ProviderFailure(code, "x", paid="unknown")])
    job = run(deps, submitted(deps))
    assert job.status == FAILED
    assert len([o for o in at.orders if o.card.id == catalogue.cards_of("bedrock")[0].id]) == 1


def test_work_that_is_not_done_in_time_is_unknown() -> None:
    deps, _ = office(looks=10**9)
    job = submitted(deps)
    job = replace(job, plan=job.plan[:1])
    deps.jobs.rows["acme", job.id] = job
    ended = run(deps, job, 60)
    assert (ended.status, ended.attempts[0].outcome) == (FAILED, "unknown")
    assert ended.error and ended.error.code == "generation_timeout"


def test_a_run_that_could_submit_nothing_in_time_leaves_nothing_to_be_notified_of() -> None:
    """The record took so long that no time is left for the call: there is no ticket, and nobody would notify."""
    deps, at = office(notifies_completion=True)
    job = submitted(deps)
    job = replace(job, plan=job.plan[:1])
    deps.jobs.rows["acme", job.id] = job
    save = deps.jobs.save

    def slow(job: Job) -> bool:
        deps.clock.sleep(MAX_STAY_SECONDS + 1)
        return save(job)

    deps.jobs.save = slow  # type: ignore[method-assign]
    ended = run(deps, job)
    assert ended.error and ended.error.code == "generation_timeout"
    assert ([a.paid for a in ended.attempts], at.orders) == (["no"], [])


@pytest.mark.parametrize(("mine", "paid"), [(True, "no"), (False, "unknown"), (False, "no")])
def test_a_submission_that_is_refused_or_cannot_be_found_is_not_asked_after(mine: bool, paid: str) -> None:
    refused = ProviderFailure(Failure.NOT_AUTHORIZED, "no", paid=paid)  # type: ignore[arg-type]
    deps, at = office(client_chooses_id=mine, submit_fails=refused)
    ended = run(deps, submitted(deps))
    assert (ended.status, at.asked) == (FAILED, [])
    assert {a.ticket for a in ended.attempts} == {None}


def test_work_that_was_accepted_is_collected_also_after_the_time_for_the_job() -> None:
    at = TicketOffice(looks=1)
    deps = Fakes(providers=FakeProviders(bedrock=at), generation_timeout=10.0)
    ended = run(deps, interrupted(deps, "ticket-1"))
    assert (ended.status, at.asked) == (COMPLETED, ["ticket-1"])


def test_all_of_a_short_time_is_waited() -> None:
    deps, at = office(looks=3)  # at 0, 0.5 and 1.25 s
    assert run(deps, submitted(deps), RESERVE_SECONDS + 1.5).status == COMPLETED
    assert len(at.asked) == 3


def interrupted(deps: Fakes, ticket: str | None) -> Job:
    job = submitted(deps)
    now = deps.clock.now()
    running = deps.jobs.claim("acme", job.id, now, now + LEASE_SECONDS)
    assert running
    assert deps.jobs.save(replace(running, attempts=(Attempt("bedrock", job.model, started_at=now, ticket=ticket),)))
    deps.clock.sleep(LEASE_SECONDS + 1)
    return job


@pytest.mark.parametrize("mine", [True, False])
def test_a_stored_ticket_is_taken_up_and_nothing_is_paid_again(mine: bool) -> None:
    deps, at = office(client_chooses_id=mine)
    job = run(deps, interrupted(deps, "ticket-1"))
    assert job.status == COMPLETED
    assert at.orders == []
    assert set(at.asked) == {"ticket-1"}
    assert [a.outcome for a in job.attempts] == ["success"]


def test_a_submission_whose_answer_was_lost_is_found_by_our_own_id() -> None:
    deps, at = office()
    job = interrupted(deps, None)
    order_id = at.asked
    ended = run(deps, job)
    assert ended.status == COMPLETED
    assert at.orders == []
    assert len(set(order_id)) == 1


def test_our_own_id_is_the_one_that_was_sent() -> None:
    deps, at = office()
    first = run(deps, submitted(deps))
    assert first.attempts[0].ticket == at.orders[0].id
    deps2, at2 = office()
    job = interrupted(deps2, None)
    run(deps2, job)
    from lambdas.domain.ids import call_id

    assert at2.asked[0] == call_id(job.id, 0, job.model, 0)
    assert at.orders[0].id == call_id(first.id, 0, first.model, 0)


def test_a_lost_submission_under_their_own_id_is_a_recorded_loss() -> None:
    deps, at = office(client_chooses_id=False)
    job = interrupted(deps, None)
    deps.jobs.rows["acme", job.id] = replace(deps.jobs.rows["acme", job.id], plan=job.plan[:1])
    ended = run(deps, job)
    assert ended.error and ended.error.code == "outcome_unknown"
    assert [a.outcome for a in ended.attempts] == ["unknown"]
    assert at.orders == []

"""The month's books: under any interleaving of jobs no cap is exceeded, and nothing is counted twice or lost."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lambdas.domain import catalogue
from lambdas.domain.catalogue.cards import bedrock
from lambdas.domain.failures import Failure
from lambdas.domain.jobs.job import COMPLETED, FAILED, Attempt, Job
from lambdas.domain.jobs.request import BACKGROUND, ImageRequest
from lambdas.domain.limits import budget
from lambdas.domain.limits.budget import Caps, reserving, settlement
from tests.support.budget_model import Books
from tests.support.properties import examples

CORE, SD35, ULTRA = (
    "stability.stable-image-core-v1:1",
    "stability.sd3-5-large-v1:0",
    "stability.stable-image-ultra-v1:1",
)
PRICES = {CORE: 40_000, SD35: 80_000, ULTRA: 140_000}
NOVEMBER = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


def job(*plan: str, n: int = 1, at: float = NOVEMBER) -> Job:
    return Job("acme", "j", ImageRequest("x", n=n), plan[0], "bedrock", 1, at, plan=plan)


def tried(of: Job, *attempts: Attempt, status: str = COMPLETED, images: int = 0) -> Job:
    made = (SimpleNamespace(),) * images
    return replace(of, attempts=attempts, status=status, images=made)  # type: ignore[arg-type]


def test_months_are_those_of_utc() -> None:
    last = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
    assert (budget.month(last), budget.month(last + 1)) == ("2026-12", "2027-01")
    assert budget.month_end(last).isoformat() == "2027-01-01T00:00:00+00:00"
    assert budget.month_end(NOVEMBER).isoformat() == "2026-12-01T00:00:00+00:00"


def test_a_job_reserves_the_dearest_of_its_plan_for_each_image() -> None:
    reserved = reserving(job(CORE, ULTRA, SD35, n=3), Caps(images=10))
    assert (reserved.reserved_microusd, reserved.reserved_images) == (420_000, 3)
    assert reserving(job(CORE), Caps.of(1.0, 0)).reserved_microusd == 40_000


def test_a_background_reserves_its_cutting_out_where_that_is_paid_for() -> None:
    scene = next(card for card in bedrock.CARDS if card.background_remover and card.price_usd)
    remover = catalogue.card(scene.background_remover)
    assert remover
    for cut_out, price in ((False, scene.price_usd + remover.price_usd), (True, scene.price_usd)):
        request = ImageRequest("x", task=BACKGROUND, cut_out=cut_out)
        wanted = reserving(replace(job(scene.id), request=request), Caps(1, 1))
        assert wanted.reserved_microusd == budget.microusd(price)


def test_without_a_cap_or_with_its_images_there_a_job_reserves_nothing() -> None:
    assert reserving(job(CORE), Caps()) == job(CORE)
    cached = replace(job(CORE), status=COMPLETED, cached=True)
    assert reserving(cached, Caps(1, 1)) == cached


def test_a_month_that_is_used_up_says_until_when() -> None:
    error = budget.exceeded(Caps(12_500_000, 1000), NOVEMBER)
    assert error.detail == "this would pass the month's budget of 12.50 USD and 1,000 images"
    assert error.retry_after == 10 * 86_400 + 12 * 3600
    assert error.code == "budget_exceeded"


def test_a_success_costs_what_the_provider_charged_and_frees_the_rest() -> None:
    failed = Attempt("bedrock", CORE, "failed", Failure.BAD_ANSWER, cost_usd=0.04)
    won = Attempt("bedrock", SD35, "success", cost_usd=0.08)
    end = settlement(tried(reserving(job(CORE, SD35, ULTRA), Caps(1, 1)), failed, won, images=1))
    assert (end.committed_microusd, end.spent_microusd, end.lost_microusd) == (120_000 - 140_000, 120_000, 0)
    assert (end.committed_images, end.images) == (0, 1)


def test_a_job_that_failed_or_was_cancelled_gives_its_reservation_back() -> None:
    for status in (FAILED, "cancelled"):
        end = settlement(tried(reserving(job(CORE, n=2), Caps(1, 1)), status=status))
        assert (end.committed_microusd, end.committed_images) == (-80_000, -2)
        assert (end.spent_microusd, end.lost_microusd, end.images) == (0, 0, 0)


def test_a_call_whose_end_is_not_known_is_the_houses_loss() -> None:
    unknown = Attempt("bedrock", ULTRA, "unknown", Failure.OUTCOME_UNKNOWN)
    end = settlement(tried(reserving(job(ULTRA), Caps(1, 1)), unknown, status=FAILED))
    assert (end.spent_microusd, end.lost_microusd, end.committed_microusd) == (0, 140_000, -140_000)


def test_a_cost_on_a_record_from_before_its_certainty_was_written_is_no_loss() -> None:
    paid = Attempt("bedrock", ULTRA, "failed", Failure.BAD_ANSWER, cost_usd=0.14)
    stored = tried(job(ULTRA), paid, status=FAILED).to_dict()
    for attempt in stored["attempts"]:
        del attempt["paid"]
    end = settlement(Job.from_dict(json.loads(json.dumps(stored))))
    assert (end.spent_microusd, end.lost_microusd) == (140_000, 0)


def test_a_job_that_changes_nothing_writes_nothing() -> None:
    assert not settlement(tried(job(CORE), status=FAILED)).any
    assert settlement(tried(job(CORE), Attempt("bedrock", CORE, "success", cost_usd=0.04), images=1)).any


class Month(RuleBasedStateMachine):
    """Jobs are accepted, tried and ended in any order; each is charged its list prices at the most once an image."""

    def __init__(self) -> None:
        super().__init__()
        self.caps, self.books = Caps(), Books()
        self.open: list[Job] = []
        self.spent = self.images = 0

    @rule(money=st.integers(0, 2_000_000), images=st.integers(0, 20))
    @precondition(lambda self: not self.open and self.caps == Caps())
    def caps_are_set(self, money: int, images: int) -> None:
        self.caps, self.books, self.spent, self.images = Caps(money, images), Books(), 0, 0

    @rule(plan=st.permutations(list(PRICES)), length=st.integers(1, 3), n=st.integers(1, 8))
    def accept(self, plan: list[str], length: int, n: int) -> None:
        wanted = reserving(job(*plan[:length], n=n), self.caps)
        held = (self.books.committed_microusd, self.books.committed_images)
        if self.books.reserve(wanted, self.caps):
            self.open.append(wanted)
        else:
            assert (self.books.committed_microusd, self.books.committed_images) == held
            assert (
                held[0] + wanted.reserved_microusd > self.caps.microusd > 0
                or held[1] + wanted.reserved_images > self.caps.images > 0
            )

    @rule(data=st.data())
    @precondition(lambda self: self.open)
    def end(self, data: st.DataObject) -> None:
        ended = self.open.pop(data.draw(st.integers(0, len(self.open) - 1)))
        made = data.draw(st.integers(0, ended.request.n))
        models = [data.draw(st.sampled_from(ended.plan)) for _ in range(made)]
        attempts = [Attempt("bedrock", model, "success", cost_usd=PRICES[model] / 1e6) for model in models]
        attempts += [Attempt("bedrock", ended.plan[0])] * data.draw(st.integers(0, 1))
        self.books.settle(tried(ended, *attempts, images=made))
        self.spent += sum(PRICES[model] for model in models)
        self.images += made

    @invariant()
    def no_cap_is_passed_and_the_books_are_right(self) -> None:
        assert self.books.spent_microusd == self.spent
        assert self.books.images == self.images
        assert self.books.committed_microusd == self.spent + sum(j.reserved_microusd for j in self.open)
        assert self.books.committed_images == self.images + sum(j.reserved_images for j in self.open)
        if self.caps.microusd:
            assert self.books.committed_microusd <= self.caps.microusd
        if self.caps.images:
            assert self.books.committed_images <= self.caps.images


TestMonth = Month.TestCase
TestMonth.settings = settings(examples(60), stateful_step_count=30)


@pytest.mark.parametrize("model", PRICES)
def test_the_prices_here_are_the_catalogues(model: str) -> None:
    assert reserving(job(model), Caps(1)).reserved_microusd == PRICES[model]

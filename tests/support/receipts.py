"""Checks that a job's receipt and the providers' ledgers agree, and that its final state is permitted."""

from __future__ import annotations

import io

from PIL import Image

from lambdas.api.errors import STATUS
from lambdas.domain import catalogue
from lambdas.domain.catalogue.model_card import ModelCard
from lambdas.domain.errors import BY_CODE
from lambdas.domain.failures import Failure
from lambdas.domain.jobs.job import COMPLETED, FAILED, Attempt, Job
from lambdas.domain.limits import budget
from lambdas.domain.routing import planning
from lambdas.usecases.deps import Deps
from tests.support.fakes import FakeJobs
from tests.support.real_providers import PROVIDERS, Call, Deployment


def check_receipt(job: Job, house: Deployment) -> list[tuple[Attempt, Call]]:
    """The job's attempts with the ledger's calls, which must be the same calls in the same order.

    There is no exception among these doubles: they enter a call in the ledger as soon as they have read it, also
    one whose connection they then reset. (A service that was not reached would have no call to an attempt that is
    `unavailable`, `timeout` or `not_authorized` with nothing paid.)
    """
    pairs: list[tuple[Attempt, Call]] = []
    for name in house.doubles:
        attempts = [a for a in job.attempts if a.provider == name]
        calls = house.ledger(name, len(attempts))
        told = [(a.model, seed_of(job, a)) for a in attempts]
        assert told == [(c.model, c.seed) for c in calls], (name, attempts, calls)
        pairs += zip(attempts, calls, strict=True)
    for attempt, call in pairs:
        _check_pair(attempt, call)
    _check_payments(pairs)
    return pairs


def seed_of(job: Job, attempt: Attempt) -> int:
    """The seed that the attempt's order had."""
    return planning.image_task(job.request, _card(attempt), job.seed, attempt.image).seed


def _card(attempt: Attempt) -> ModelCard:
    card = catalogue.card(attempt.model)
    assert card
    return card


def _check_pair(attempt: Attempt, call: Call) -> None:
    """What the receipt may say of a call of which the ledger says this."""
    said = attempt.outcome, attempt.error_code
    assert attempt.outcome in ("success", "failed", "refused", "unknown"), said
    assert (attempt.error_code is None) == (attempt.outcome == "success"), said
    assert attempt.error_code is None or attempt.error_code in Failure
    assert (attempt.error_code == "content_policy") == (attempt.outcome == "refused"), said
    assert attempt.duration >= 0
    card = _card(attempt)
    _check_money(attempt, call, card)
    if not call.paid:  # a reset cannot be told from a loss after payment
        assert attempt.outcome in ("failed", "refused") or call.fault == "reset", (attempt, call)
    if call.paid and attempt.outcome == "failed" and card.price_usd:
        assert attempt.error_code in ("bad_answer", "failed", *_ends(attempt)), (attempt, call)


def _ends(attempt: Attempt) -> tuple[str, ...]:
    """What else an attempt at a call that was paid may end in."""
    in_front = ("unavailable",)  # the answer was lost to what stands in front of the service, after it had charged
    # a task of Runware may end so, which its own later answers say
    late = attempt.provider == "runware_ai" and attempt.ticket
    return (*in_front, *(("invalid_request", "model_gone", "out_of_credit") if late else ()))


def _check_money(attempt: Attempt, call: Call, card: ModelCard) -> None:
    """To the micro-dollar what the provider charged, or to the cent a loss of which is said that nobody knows it."""
    assert attempt.outcome != "success" or call.paid, (attempt, call)
    if attempt.paid == "unknown":
        assert attempt.cost_usd == 0
        assert attempt.outcome != "success"
        assert not call.usd or abs(call.usd - card.price_usd) < 0.005, (attempt, call)
    else:
        assert (attempt.paid == "yes") == (call.usd > 0), (attempt, call)
        listed = call.fault == "uncounted"  # the service does not count what it used: the list's price, in whole cents
        near = abs(call.usd - attempt.cost_usd) < 0.005
        assert budget.microusd(attempt.cost_usd) == budget.microusd(call.usd) or (listed and near), (attempt, call)


def check_books(job: Job, pairs: list[tuple[Attempt, Call]], deps: Deps) -> None:
    """The month of the one job, against the providers' ledgers: every charge is spent, or lost and named so."""
    assert isinstance(deps.jobs, FakeJobs)
    [month] = deps.jobs.books.values()
    named = [(attempt, call) for attempt, call in pairs if attempt.paid == "unknown"]
    charged = sum(budget.microusd(call.usd) for _, call in pairs)
    assert month.spent_microusd == charged - sum(budget.microusd(call.usd) for _, call in named)
    assert month.spent_microusd == budget.microusd(job.cost_usd) == month.committed_microusd
    assert month.lost_microusd == sum(budget.microusd(_card(attempt).price_usd) for attempt, _ in named)
    assert abs(month.spent_microusd + month.lost_microusd - charged) < 5_000 or any(not call.usd for _, call in named)


def _check_payments(pairs: list[tuple[Attempt, Call]]) -> None:
    """No provider is paid twice for one image, and none is called again after it may have been paid."""
    paid: set[tuple[str, int]] = set()
    for attempt, call in pairs:
        card = _card(attempt)
        at = (attempt.provider, attempt.image)
        if card.price_usd > 0:
            assert at not in paid, (attempt, call)
            if call.paid or attempt.outcome in ("success", "unknown"):
                paid.add(at)


def check_end(job: Job, deps: Deps) -> None:
    """The final state, the images that stand, and the error's place in the contract."""
    assert job.status in (COMPLETED, FAILED)
    request = job.request
    size = (request.width, request.height)
    assert len({image.key for image in job.images}) == len(job.images)
    for image in job.images:
        data = deps.blobs.get(image.key)
        assert data and len(data) == image.bytes
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            assert (str(picture.format).lower(), picture.size) == (request.format, size)
        assert (image.width, image.height, image.format) == (*size, request.format)
        assert deps.jobs.find_image(job.tenant, image.name) == image  # listed, so that it can be downloaded
    made = [a.image for a in job.attempts if a.outcome == "success"]
    assert made == list(range(len(job.images)))
    refused = [a for a in job.attempts if a.outcome == "refused"]
    if job.status == COMPLETED:
        assert len(job.images) == request.n
        assert job.error is None
        assert not refused
        assert (job.provider, job.model) == (job.attempts[-1].provider, job.attempts[-1].model)
        return
    assert job.error
    assert STATUS[BY_CODE[job.error.code]] in (400, 422, 502, 503, 504)
    assert job.error.message
    assert refused == ([job.attempts[-1]] if job.error.code == "content_policy" else [])


def check_after_kills(job: Job, house: Deployment) -> int:
    """The ledgers against the receipt; returns how many attempts never reached their provider.

    Each call in a ledger is on the receipt. An attempt without a call is one whose run was killed before it called. A
    call that was paid is a success, whose image is there (see check_end), or told as unknown, or as what it ended in.
    """
    missing = 0
    for name in PROVIDERS:
        calls = house.ledger(name)
        paid = [call.seed for call in calls if call.paid]
        free = catalogue.cards_of(name)[0].price_usd == 0
        assert free or len(set(paid)) == len(paid), (name, calls)
        attempts = [a for a in job.attempts if a.provider == name]
        told = {(a.model, seed_of(job, a)) for a in attempts}
        assert {(call.model, call.seed) for call in calls} <= told
        for at in told:
            asked = [a for a in attempts if (a.model, seed_of(job, a)) == at]
            answered = [call for call in calls if (call.model, call.seed) == at]
            lost = len(asked) - len(answered)
            assert lost >= 0, (name, asked, answered)
            missing += lost
            for attempt in asked:
                said = attempt.outcome, attempt.error_code
                assert attempt.error_code or attempt.outcome == "success"
                if lost and attempt.error_code == "outcome_unknown":
                    lost -= 1
                    assert attempt.cost_usd == 0
                    continue
                call = answered.pop(0)
                assert call.paid or attempt.outcome != "success", (attempt, call)
                if call.paid and attempt.outcome == "failed" and not free:
                    assert attempt.error_code in ("bad_answer", "failed", *_ends(attempt)), said
            assert not lost
    return missing

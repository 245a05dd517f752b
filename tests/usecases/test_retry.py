"""Retries while a store is unreachable, and paid calls that are not begun after it."""

from __future__ import annotations

import pytest

from lambdas.domain import catalogue
from lambdas.domain.errors import Unavailable
from lambdas.domain.failures import ProviderFailure
from lambdas.domain.jobs.request import ImageRequest
from lambdas.domain.routing import planning
from lambdas.usecases.images.ask_provider import ask
from lambdas.usecases.retry import WAITS, retry_while_unavailable
from tests.support.fakes import FakeClock, FakeProvider


@pytest.mark.parametrize("failures", range(len(WAITS) + 2))
def test_it_is_done_again_until_it_succeeds_or_patience_ends(failures: int) -> None:
    clock, tries = FakeClock(), []

    def act() -> str:
        tries.append(1)
        if len(tries) <= failures:
            raise Unavailable("no")
        return "done"

    if failures > len(WAITS):
        with pytest.raises(Unavailable):
            retry_while_unavailable(act, clock)
    else:
        assert retry_while_unavailable(act, clock) == "done"
    assert clock.slept == list(WAITS[:failures])


def test_nobody_is_asked_when_the_time_for_it_has_passed() -> None:
    clock, provider = FakeClock(), FakeProvider()
    card = catalogue.cards_of("bedrock")[0]
    order = planning.image_task(ImageRequest("a fox"), card, 1, 0)
    with pytest.raises(ProviderFailure) as told:
        ask(provider, order, clock.now(), clock, lambda _ticket: None)
    assert (told.value.code, told.value.paid, provider.orders) == ("timeout", "no", [])

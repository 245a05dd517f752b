"""The table of failures."""

from __future__ import annotations

from lambdas.api.errors import STATUS
from lambdas.domain.failures import CONSEQUENCES, Failure, HealthEffect


def test_every_failure_has_its_consequence() -> None:
    assert list(CONSEQUENCES) == list(Failure)


def test_what_is_retried_could_also_be_asked_elsewhere() -> None:
    retried = {failure for failure, follows in CONSEQUENCES.items() if follows.retry}
    assert retried == {Failure.THROTTLED, Failure.UNAVAILABLE, Failure.FAILED}
    assert all(CONSEQUENCES[failure].fallback for failure in retried)


def test_what_nobody_else_is_asked_for_says_nothing_of_the_provider() -> None:
    final = {failure for failure, follows in CONSEQUENCES.items() if not follows.fallback}
    assert final == {f for f, follows in CONSEQUENCES.items() if follows.health is HealthEffect.NOTHING}


def test_each_ends_in_a_status_of_its_own_kind() -> None:
    statuses = {failure: STATUS[follows.error] for failure, follows in CONSEQUENCES.items()}
    client = {Failure.CONTENT_POLICY: 422, Failure.INVALID_REQUEST: 400, Failure.TIMEOUT: 504}
    assert statuses == {failure: client.get(failure, 502) for failure in Failure}


def test_an_unknown_outcome_is_that_of_a_call_that_may_have_been_charged() -> None:
    assert not any(follows.outcome == "unknown" for follows in CONSEQUENCES.values())
    unknown = {failure for failure, follows in CONSEQUENCES.items() if follows.outcome_if_charged == "unknown"}
    assert unknown == {Failure.UNAVAILABLE, Failure.TIMEOUT, Failure.NOT_AUTHORIZED, Failure.OUTCOME_UNKNOWN}
    settled = [follows for failure, follows in CONSEQUENCES.items() if failure not in unknown]
    assert all(follows.outcome == follows.outcome_if_charged for follows in settled)

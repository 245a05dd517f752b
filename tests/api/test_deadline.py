"""The api function's deadline: the gateway's timeout counts from the request's arrival."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.api.app import deadline
from tests.api.client import Client

NOW = 1_790_000_000.0


def arrived(epoch: Any) -> dict[str, Any]:
    return {"requestContext": {"requestTimeEpoch": epoch}}


@pytest.mark.parametrize(
    ("waited", "left"),
    [
        (0, 26),
        (0.5, 25.5),
        (12, 14),  # an authorizer and a start of the function on a busy machine
        (28, -2),
        (29, 26),  # the gateway has hung up, or its clock is not ours
        (3600, 26),
        (-0.2, 26),  # a clock that is ahead
        (-3600, 26),
    ],
)
def test_what_a_slow_start_took_is_not_there_any_more(waited: float, left: float) -> None:
    assert deadline(arrived((NOW - waited) * 1000), 29_000, NOW) == pytest.approx(NOW + left)


@pytest.mark.parametrize("event", [{}, {"requestContext": None}, arrived(None), arrived("soon"), arrived(0)])
def test_without_a_time_of_arrival_the_functions_own_time_counts(event: dict[str, Any]) -> None:
    assert deadline(event, 29_000, NOW) == pytest.approx(NOW + 26)


def test_the_functions_own_time_counts_where_it_is_shorter() -> None:
    assert deadline(arrived(NOW * 1000), 10_000, NOW) == pytest.approx(NOW + 7)


def test_a_request_whose_function_started_late_is_answered_by_its_job() -> None:
    client = Client()
    client.arrived = client.deps.clock.now() - 23
    answer = client("POST", "/generate", {"prompt": "a fox"})
    assert answer.status == 202
    assert answer.headers["Location"].endswith(f"/unified/jobs/{answer.json()['generation_id']}")
    client.arrived = client.deps.clock.now() - 1
    assert client("POST", "/generate", {"prompt": "a fox"}).status == 200

"""The heartbeat of a run's lease: it goes on after a failure, and ends with the work or a lost lease."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event

from lambdas.usecases.heartbeat import heartbeat


def test_a_beat_that_fails_is_made_again() -> None:
    answers: Iterator[Exception | bool] = iter([ConnectionError("the table was out of reach"), True, False])
    last = Event()

    def beat() -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        if not answer:
            last.set()
        return answer

    with heartbeat(beat, 0.0):
        assert last.wait(30)


def test_a_beat_that_is_refused_was_the_last() -> None:
    beats: list[int] = []
    refused = Event()

    def beat() -> bool:
        beats.append(1)
        refused.set()
        return False

    with heartbeat(beat, 0.0):
        assert refused.wait(30)
    assert len(beats) == 1

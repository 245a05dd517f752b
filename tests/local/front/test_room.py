"""The front's queue: in order of arrival, advancing, and with a quick refusal when it is full."""

import asyncio
from typing import Any

import pytest

from local.front import room
from local.front.room import KEPT_SECONDS, MAX_WAIT, PATIENCE, START_SECONDS, Room
from tests.support.virtual_loop import run


async def stay(place: Room, seconds: float) -> tuple[bool, Any]:
    """Whether it came in, and after how long that was said."""
    loop = asyncio.get_running_loop()
    came = loop.time()
    inside = await place.enter()
    took = loop.time() - came
    if inside:
        await asyncio.sleep(seconds)
        place.leave()
    return inside, pytest.approx(took)


def test_no_more_than_there_are_places_and_all_in_turn() -> None:
    async def crowd() -> Any:
        place, inside, most, order = Room(3), 0, 0, []

        async def one(number: int) -> None:
            nonlocal inside, most
            assert await place.enter()
            order.append(number)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.7)
            inside -= 1
            place.leave()

        await asyncio.gather(*map(one, range(50)))
        return most, order, place.used

    assert run(crowd()) == (3, list(range(50)), 0)


def test_whoever_waits_for_slow_ones_is_told_soon_and_the_next_at_once() -> None:
    async def crowd() -> Any:
        place = Room(2)
        slow = [asyncio.create_task(stay(place, 5 * PATIENCE)) for _ in range(2)]
        waited = await asyncio.gather(*[stay(place, 0) for _ in range(20)])
        await asyncio.sleep(0.1)
        late = await stay(place, 0)
        await asyncio.gather(*slow)
        return waited, late, await asyncio.gather(*[stay(place, 0) for _ in range(2)])

    waited, late, again = run(crowd())
    assert waited == [(False, START_SECONDS + PATIENCE)] * 20, "the second place was the last that was taken"
    assert late == (False, 0)
    assert again == [(True, 0)] * 2, "it has recovered"


def test_nobody_waits_for_ever_in_a_line_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_LINE", 30)

    async def crowd() -> Any:
        place = Room(1)
        return await asyncio.gather(*[stay(place, 7) for _ in range(40)])

    in_time = range(0, int(MAX_WAIT), 7)
    answers = run(crowd())
    assert answers[: len(in_time)] == [(True, seconds) for seconds in in_time]
    assert answers[len(in_time) : 31] == [(False, MAX_WAIT)] * (31 - len(in_time))
    assert answers[31:] == [(False, 0)] * 9, "the line is full"


def test_processes_are_started_one_after_the_other_and_then_kept() -> None:
    async def crowd() -> Any:
        place = Room(3)
        rounds = []
        for idle in (0, KEPT_SECONDS / 2, KEPT_SECONDS * 2):
            await asyncio.sleep(idle)
            rounds.append(await asyncio.gather(*[stay(place, 2) for _ in range(3)]))
        return rounds

    starts = [(True, 0), (True, START_SECONDS), (True, 2 * START_SECONDS)]
    assert run(crowd()) == [starts, [(True, 0)] * 3, starts]


def test_one_that_is_cancelled_holds_nothing_up() -> None:
    async def crowd() -> Any:
        place = Room(1)
        holder = asyncio.create_task(stay(place, 2))
        await asyncio.sleep(1)
        gone = asyncio.create_task(stay(place, 0))
        waiting = asyncio.create_task(stay(place, 0))
        await asyncio.sleep(0.5)
        gone.cancel()
        await holder
        return await waiting, place.used, len(place.line)

    assert run(crowd()) == ((True, 1), 0, 0)

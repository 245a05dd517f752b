"""The front's room: places in the order of coming, a line that moves, and a quick word where it does not."""

import asyncio
import time

import pytest

from local.front import room
from local.front.room import Room


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(room, "PATIENCE", 0.3)
    monkeypatch.setattr(room, "MAX_WAIT", 1.0)
    monkeypatch.setattr(room, "START_SECONDS", 0.02)


async def stay(place, seconds):
    """How long it took to come in; None for one that was turned away."""
    came = time.monotonic()
    if not await place.enter():
        return None
    took = time.monotonic() - came
    await asyncio.sleep(seconds)
    place.leave()
    return took


def test_no_more_than_there_are_places_and_all_in_turn(monkeypatch):
    monkeypatch.setattr(room, "PATIENCE", 60.0)
    monkeypatch.setattr(room, "MAX_WAIT", 60.0)

    async def crowd():
        place, inside, most, order = Room(3), 0, 0, []

        async def one(number):
            nonlocal inside, most
            assert await place.enter()
            order.append(number)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1
            place.leave()

        await asyncio.gather(*map(one, range(50)))
        return most, order, place.used

    assert asyncio.run(crowd()) == (3, list(range(50)), 0)


def test_whoever_waits_for_slow_ones_is_told_soon_and_the_next_at_once():
    async def crowd():
        place = Room(2)
        slow = [asyncio.create_task(stay(place, 1.5)) for _ in range(2)]
        began = time.monotonic()
        waited = await asyncio.gather(*[stay(place, 0) for _ in range(20)])
        after = time.monotonic() - began
        came = time.monotonic()
        late = await stay(place, 0)
        told = time.monotonic() - came
        await asyncio.gather(*slow)
        again = await asyncio.gather(*[stay(place, 0) for _ in range(2)])
        return waited, after, late, told, again

    waited, after, late, told, again = asyncio.run(crowd())
    assert waited == [None] * 20
    assert after < 1.0
    assert late is None
    assert told < 0.1
    assert all(took is not None and took < 0.1 for took in again), "it has recovered"


def test_nobody_waits_for_ever_in_a_line_that_moves(monkeypatch):
    monkeypatch.setattr(room, "MAX_LINE", 30)

    async def crowd():
        place = Room(1)
        return await asyncio.gather(*[stay(place, 0.2) for _ in range(40)])

    began = time.monotonic()
    took = asyncio.run(crowd())
    assert 3 <= len([t for t in took if t is not None]) <= 8
    assert took[31:] == [None] * 9, "the line is full"
    assert time.monotonic() - began < 3


def test_processes_are_started_one_after_the_other_and_then_kept(monkeypatch):
    monkeypatch.setattr(room, "START_SECONDS", 0.5)
    monkeypatch.setattr(room, "PATIENCE", 5.0)
    monkeypatch.setattr(room, "MAX_WAIT", 5.0)

    async def crowd():
        place = Room(3)
        first = await asyncio.gather(*[stay(place, 2.0) for _ in range(3)])
        return first, await asyncio.gather(*[stay(place, 0) for _ in range(3)])

    first, second = asyncio.run(crowd())
    assert first[0] < 0.4
    assert first[1] >= 0.49
    assert first[2] >= 0.99
    assert max(second) < 0.4


def test_one_that_is_cancelled_holds_nothing_up():
    async def crowd():
        place = Room(1)
        holder = asyncio.create_task(stay(place, 0.2))
        await asyncio.sleep(0.01)
        gone = asyncio.create_task(stay(place, 0))
        waiting = asyncio.create_task(stay(place, 0))
        await asyncio.sleep(0.01)
        gone.cancel()
        await holder
        return await waiting, place.used, len(place.line)

    took, used, line = asyncio.run(crowd())
    assert took is not None
    assert (used, line) == (0, 0)

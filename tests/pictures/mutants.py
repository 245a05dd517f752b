"""Corrupted pictures: random changes of valid ones, deterministic by number."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from typing import Literal

from tests.pictures.made import seeds

_EDGES = (0, 1, 2, 3, 7, 8, 16, 0x7F, 0x80, 0xD8, 0xD9, 0xDA, 0xFE, 0xFF)
_WORDS = (0, 1, 255, 256, 4999, 5000, 16_383, 16_384, 32_767, 65_535, 0x7FFFFFFF, 0xFFFFFFFF)


def mutant(number: int, lot: int) -> tuple[str, bytes]:
    """Of which sound file, and the bytes."""
    die = random.Random(f"{lot}:{number}")
    names = sorted(seeds())
    name = names[number % len(names)]
    data = bytearray(seeds()[name])
    for _ in range(die.choice((1, 1, 1, 2, 3, 6))):
        if len(data) > 12:
            die.choice(_CHANGES)(data, die)
    if name.startswith("png") and die.random() < 0.75:
        _sealed(data)
    if name.startswith("webp") and die.random() < 0.75:
        struct.pack_into("<I", data, 4, len(data) - 8) if len(data) >= 8 else None
    return name, bytes(data)


def _at(data: bytearray, die: random.Random) -> int:
    """A place: half of the time near the beginning, where structure is dense."""
    return die.randrange(min(len(data), 80)) if die.random() < 0.5 else die.randrange(len(data))


def _bit(data: bytearray, die: random.Random) -> None:
    data[_at(data, die)] ^= 1 << die.randrange(8)


def _byte(data: bytearray, die: random.Random) -> None:
    data[_at(data, die)] = die.choice(_EDGES) if die.random() < 0.7 else die.randrange(256)


def _word(data: bytearray, die: random.Random) -> None:
    orders: tuple[Literal["big", "little"], ...] = ("big", "little")
    size, order = die.choice((2, 3, 4)), die.choice(orders)
    at = _at(data, die)
    word = (die.choice(_WORDS) & (1 << 8 * size) - 1).to_bytes(size, order)
    data[at : at + size] = word[: len(data) - at]


def _cut(data: bytearray, die: random.Random) -> None:
    del data[_at(data, die) :]


def _lost(data: bytearray, die: random.Random) -> None:
    at = _at(data, die)
    del data[at : at + die.randrange(1, 40)]


def _again(data: bytearray, die: random.Random) -> None:
    at = _at(data, die)
    part = data[at : at + die.randrange(1, 200)]
    place = _at(data, die)
    data[place:place] = part * die.choice((1, 1, 2, 50))


def _moved(data: bytearray, die: random.Random) -> None:
    at, size = _at(data, die), die.randrange(1, 60)
    part = data[at : at + size]
    del data[at : at + size]
    place = die.randrange(len(data) + 1)
    data[place:place] = part


def _strange(data: bytearray, die: random.Random) -> None:
    """A part of another file, of any kind."""
    other = seeds()[die.choice(sorted(seeds()))]
    at, place = die.randrange(len(other)), _at(data, die)
    data[place : place + die.choice((0, 30))] = other[at : at + die.randrange(1, 120)]


def _noise(data: bytearray, die: random.Random) -> None:
    place = _at(data, die)
    data[place:place] = die.randbytes(die.randrange(1, 60))


def _long(data: bytearray, die: random.Random) -> None:
    """One byte without end."""
    place = _at(data, die)
    data[place:place] = bytes((die.choice(_EDGES),)) * die.choice((1000, 100_000))


_CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(_bit, _bit, _byte, _byte, _byte, _word, _word, _word),
    *(_cut, _lost, _again, _moved, _strange, _noise, _long),
)


def _sealed(data: bytearray) -> None:
    """Right checksums for the chunks of a PNG, so that what is in them is read."""
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            return
        struct.pack_into(">I", data, end - 4, zlib.crc32(data[at + 4 : end - 4]))
        at = end

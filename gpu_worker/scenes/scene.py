"""Defines scenes, generates random ones, and computes their captions and layouts."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SIDE: Final = 128  # pixels of a scene, both ways

COLORS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (215, 35, 40),
    "green": (40, 155, 60),
    "blue": (35, 75, 210),
    "yellow": (250, 220, 40),
    "orange": (245, 135, 20),
    "purple": (125, 45, 165),
    "pink": (250, 150, 195),
    "brown": (125, 75, 40),
    "black": (15, 15, 15),
    "white": (250, 250, 250),
    "grey": (130, 130, 130),
}
SHAPES: Final = ("circle", "square", "triangle", "star", "diamond", "heart", "cross", "ring")
COUNTS: Final = {1: ("a", "one"), 2: ("two",), 3: ("three",), 4: ("four",)}
SIZES: Final = ("small", "large")
PLACES: Final[dict[str, tuple[float, float]]] = {  # a thing's middle, as parts of the side from the top left
    "on the left": (0.25, 0.5),
    "on the right": (0.75, 0.5),
    "at the top": (0.5, 0.25),
    "at the bottom": (0.5, 0.75),
    "in the centre": (0.5, 0.5),
    "in the top left corner": (0.25, 0.25),
    "in the top right corner": (0.75, 0.25),
    "in the bottom left corner": (0.25, 0.75),
    "in the bottom right corner": (0.75, 0.75),
}
RELATIONS: Final = ("left of", "right of", "above", "below")
DEFAULT_BACKGROUND: Final = "white"


@dataclass(frozen=True, slots=True)
class Thing:
    """One to four equal shapes."""

    shape: str
    color: str
    count: int = 1
    size: str | None = None
    place: str | None = None

    def words(self, rng: random.Random) -> str:
        """Describe the thing, such as `three small red stars`, without its place."""
        parts = [rng.choice(COUNTS[self.count]), self.size or "", self.color]
        plural = "crosses" if self.shape == "cross" else f"{self.shape}s"
        parts.append(self.shape if self.count == 1 else plural)
        text = " ".join(filter(None, parts))
        return text.replace("a orange", "an orange")


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing, or two with the first in `relation` to the second."""

    things: tuple[Thing, ...]
    background: str = DEFAULT_BACKGROUND
    relation: str | None = None

    def caption(self, rng: random.Random) -> str:
        """Return one of the possible captions."""
        first = self.things[0].words(rng)
        if self.relation:
            joined = {"left of": ("left of", "to the left of"), "right of": ("right of", "to the right of")}
            said = rng.choice(joined.get(self.relation, (self.relation,)))
            text = f"{first} {said} {self.things[1].words(rng)}"
        elif len(self.things) == 2:
            text = f"{first} and {self.things[1].words(rng)}"
        else:
            place = self.things[0].place
            text = f"{first} {place}" if place else first
        if self.background != DEFAULT_BACKGROUND or rng.random() < 0.5:
            on = rng.choice(("on {}", "on a {} background", "on {} background"))
            comma = "," if self.things[0].place and rng.random() < 0.5 else ""
            text = f"{text}{comma} {on.format(self.background)}"
        return rng.choice(("{}", "{}", "a picture of {}", "an image of {}", "draw {}", "{}.")).format(text)


def random_scene(rng: random.Random) -> Scene:
    """Return a random scene: 30 % have two things, 40 % one to four equal ones, 30 % one thing in a place."""
    colors = rng.sample(sorted(COLORS), 3)
    background = DEFAULT_BACKGROUND if rng.random() < 0.35 and DEFAULT_BACKGROUND not in colors[:2] else colors[2]
    size = rng.choice((None, None, *SIZES))
    kind = rng.random()
    if kind < 0.3:
        first, second = (Thing(rng.choice(SHAPES), color) for color in colors[:2])
        return Scene((first, second), background, rng.choice((*RELATIONS, None)))
    if kind < 0.7:
        count = rng.choice((1, 2, 3, 4))
        return Scene((Thing(rng.choice(SHAPES), colors[0], count, size if count == 1 else None),), background)
    place = rng.choice(sorted(PLACES))
    return Scene((Thing(rng.choice(SHAPES), colors[0], 1, size if size == "small" else None, place),), background)


@dataclass(frozen=True, slots=True)
class Spot:
    """The position of one shape: its middle and its radius, in pixels."""

    shape: str
    color: str
    x: float
    y: float
    radius: float


_ROWS: Final[dict[int, Sequence[tuple[float, float]]]] = {
    2: ((0.3, 0.5), (0.7, 0.5)),
    3: ((0.5, 0.29), (0.28, 0.68), (0.72, 0.68)),
    4: ((0.29, 0.29), (0.71, 0.29), (0.29, 0.71), (0.71, 0.71)),
}
_PAIRS: Final[dict[str | None, tuple[tuple[float, float], tuple[float, float]]]] = {
    "left of": ((0.28, 0.5), (0.72, 0.5)),
    None: ((0.28, 0.5), (0.72, 0.5)),
    "right of": ((0.72, 0.5), (0.28, 0.5)),
    "above": ((0.5, 0.28), (0.5, 0.72)),
    "below": ((0.5, 0.72), (0.5, 0.28)),
}
_RADII: Final = {"small": (11.0, 13.5), None: (21.0, 25.0), "large": (36.0, 41.0)}


def laid_out(scene: Scene, rng: random.Random) -> list[Spot]:
    """Return the position of every shape. Properties that the caption leaves open are random, within narrow bounds."""

    def spot(thing: Thing, middle: tuple[float, float], radius: float, stray: float) -> Spot:
        x, y = (SIDE * part + rng.uniform(-stray, stray) for part in middle)
        return Spot(thing.shape, thing.color, x, y, radius)

    if len(scene.things) == 2:
        radius = rng.uniform(18, 22)
        pair = zip(scene.things, _PAIRS[scene.relation], strict=True)
        return [spot(thing, middle, radius, 4) for thing, middle in pair]
    (thing,) = scene.things
    if thing.count > 1:
        radius = rng.uniform(15, 18)
        return [spot(thing, middle, radius, 3) for middle in _ROWS[thing.count]]
    radius = rng.uniform(*_RADII[thing.size])
    return [spot(thing, PLACES[thing.place or "in the centre"], radius, 4)]

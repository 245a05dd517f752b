"""Draws the demo provider's scenes from a palette and a random generator: mountains, seas, cities, woods, circles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Palette:
    """`sky` is from the zenith to the horizon; `near` is the colour of the foreground."""

    sky: tuple[Colour, ...]
    sun: Colour
    near: Colour
    stars: bool = False


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Return a colour between `a` (0) and `b` (1)."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


class Canvas:
    """An RGB picture on which lengths are shares of its sides."""

    def __init__(self, width: int, height: int) -> None:
        self.w, self.h = width, height
        self.side = min(width, height)
        self.image = Image.new("RGB", (width, height))
        self.draw = ImageDraw.Draw(self.image, "RGBA")

    def gradient(
        self, colours: tuple[Colour, ...], top: float, bottom: float, outline: list[Point] | None = None
    ) -> None:
        """Draw a vertical gradient over the whole width, or within the outline."""
        y0, y1 = round(top * self.h), max(round(bottom * self.h), round(top * self.h) + 1)
        strip = Image.new("RGB", (1, len(colours)))
        strip.putdata(colours)
        # Half a sample is cut off at both ends, where resampling has no neighbour to blend with.
        box = (0, 0.5, 1, len(colours) - 0.5)
        filled = strip.resize((self.w, y1 - y0), Image.Resampling.BILINEAR, box)
        if outline is None:
            self.image.paste(filled, (0, y0))
            return
        mask = Image.new("L", filled.size)
        ImageDraw.Draw(mask).polygon([(x * self.w, y * self.h - y0) for x, y in outline], fill=255)
        self.image.paste(filled, (0, y0), mask)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float) -> None:
        """Draw light that fades with the distance; the radius is a share of the shorter side."""
        r = max(2, round(radius * self.side))
        curve = [round(255 * strength * (1 - min(i / 181, 1)) ** 2) for i in range(256)]
        mask = Image.radial_gradient("L").point(curve).resize((2 * r, 2 * r), Image.Resampling.BILINEAR)
        self.image.paste(colour, (round(x * self.w) - r, round(y * self.h) - r), mask)

    def disc(self, x: float, y: float, radius: float, colour: Colour, alpha: float = 1, ring: float = 0) -> None:
        """Draw a filled circle, or with `ring` (a share of the radius) only its rim."""
        r, ink = radius * self.side, (*colour, round(255 * alpha))
        box = (x * self.w - r, y * self.h - r, x * self.w + r, y * self.h + r)
        if ring:
            self.draw.ellipse(box, outline=ink, width=max(1, round(ring * r)))
        else:
            self.draw.ellipse(box, fill=ink)

    def shape(self, points: list[Point], colour: Colour, alpha: float = 1) -> None:
        """Draw a filled polygon."""
        self.draw.polygon([(x * self.w, y * self.h) for x, y in points], fill=(*colour, round(255 * alpha)))


def sky(canvas: Canvas, palette: Palette, die: Random, horizon: float) -> Point:
    """Draw the sky down to the horizon with stars and a sun or moon, whose position is returned."""
    canvas.gradient(palette.sky, 0, horizon + 0.02)
    x, y = die.uniform(0.2, 0.8), horizon * die.uniform(0.3, 0.75)
    stars = [(die.random(), die.random() ** 1.5 * horizon, die.uniform(0.0008, 0.0026)) for _ in range(140)]
    for sx, sy, size in stars if palette.stars else []:
        canvas.disc(sx, sy, size, (255, 255, 255), die.uniform(0.3, 1))
    canvas.glow(x, y, 0.55, palette.sun, 0.6)
    canvas.disc(x, y, die.uniform(0.055, 0.09), mix(palette.sun, (255, 255, 255), 0.35))
    return x, y


def ridge(die: Random, level: float, height: float, rough: float) -> list[Point]:
    """Return a mountain line across the picture, by midpoint displacement of its ends as well."""
    line = [level + die.uniform(-1, 1) * height for _ in range(3)]
    spread = height
    while len(line) < 260:
        spread *= rough
        between = [(a + b) / 2 + die.uniform(-1, 1) * spread for a, b in pairwise(line)]
        line = [y for pair in zip(line, between, strict=False) for y in pair] + line[-1:]
    return [(i / (len(line) - 1), y) for i, y in enumerate(line)]


def mountains(canvas: Canvas, palette: Palette, die: Random) -> None:
    """Draw ridges one behind the other, hazier with the distance."""
    sky(canvas, palette, die, 0.72)
    haze, count = palette.sky[-1], 5
    for i in range(count):
        depth = (i + 1) / count
        line = ridge(die, 0.42 + 0.11 * i, 0.13 - 0.015 * i, 0.52)
        colour = mix(haze, palette.near, 0.2 + 0.8 * depth)
        bottom = 1.0 if i == count - 1 else 0.72 + 0.1 * i
        top = max(0.0, min(y for _, y in line))
        foot = mix(colour, haze, 0.55 * (1 - depth) + 0.1)
        canvas.gradient((colour, foot), top, min(1.0, bottom), [*line, (1, 1.1), (0, 1.1)])


def sea(canvas: Canvas, palette: Palette, die: Random) -> None:
    """Draw open water with glitter under the sun, an island and a sailing boat."""
    horizon = die.uniform(0.5, 0.6)
    x, _ = sky(canvas, palette, die, horizon)
    shore = mix(palette.sky[-1], palette.near, 0.45)
    island = ridge(die, horizon - 0.02, 0.045, 0.5)
    cut = die.uniform(0.25, 0.45)
    island = [(px, min(horizon, horizon + (y - horizon) * (1 - (px / cut) ** 2))) for px, y in island if px < cut]
    canvas.shape([*island, (cut, horizon), (0, horizon)], shore)
    canvas.gradient((mix(palette.sky[-1], palette.near, 0.25), mix(palette.sky[0], palette.near, 0.6)), horizon, 1)
    for i in range(90):
        nearness = (i / 90) ** 1.6
        y = horizon + 0.004 + (0.99 - horizon) * nearness
        half, thick = (0.015 + 0.13 * nearness) * die.uniform(0.3, 1), 0.0012 + 0.006 * nearness
        cx = x + die.uniform(-1, 1) * (0.02 + 0.1 * nearness)
        canvas.shape([(cx - half, y), (cx, y - thick), (cx + half, y), (cx, y + thick)], palette.sun, 0.55)
    boat, size = die.uniform(0.55, 0.85), die.uniform(0.05, 0.08)
    keel = horizon + die.uniform(0.03, 0.08)
    across = size * canvas.side / canvas.w
    up = size * canvas.side / canvas.h
    canvas.shape([(boat, keel - 2.2 * up), (boat, keel - 0.2 * up), (boat + across, keel - 0.2 * up)], (250, 246, 238))
    canvas.shape(
        [
            (boat - 0.08 * across, keel - 1.8 * up),
            (boat - 0.08 * across, keel - 0.2 * up),
            (boat - 0.7 * across, keel - 0.2 * up),
        ],
        (236, 226, 214),
    )
    canvas.shape(
        [
            (boat - across, keel - 0.12 * up),
            (boat + 1.1 * across, keel - 0.12 * up),
            (boat + 0.7 * across, keel + 0.15 * up),
            (boat - 0.7 * across, keel + 0.15 * up),
        ],
        palette.near,
    )


def city(canvas: Canvas, palette: Palette, die: Random) -> None:
    """Draw three rows of towers, the nearer ones with lit windows."""
    sky(canvas, palette, die, 0.8)
    across = max(0.4, canvas.side / canvas.w)  # narrower towers in a wide picture
    for row, (base, low, high) in enumerate([(0.3, 0.05, 0.35), (0.42, 0.02, 0.32), (0.6, 0.0, 0.28)]):
        colour = mix(palette.sky[-1], palette.near, (0.35, 0.7, 1.0)[row])
        x = die.uniform(-0.05, 0.0)
        while x < 1:
            width = die.uniform(0.045, 0.1) * across
            top = base + die.uniform(low, high)
            canvas.shape([(x, 1), (x, top), (x + width, top), (x + width, 1)], colour)
            if die.random() < 0.3:
                middle, half = x + width / 2, 0.004 * across
                canvas.shape([(middle - half, top), (middle, top - 0.07), (middle + half, top)], colour)
            if row:
                windows(canvas, palette, die, (x, top, width))
            x += width + die.uniform(-0.01, 0.012) * across


def windows(canvas: Canvas, palette: Palette, die: Random, tower: tuple[float, float, float]) -> None:
    """Draw lit windows on one tower, given by its left side, top and width."""
    x, top, width = tower
    storey = 0.026 * max(0.4, canvas.side / canvas.h)
    columns, rows = die.randint(3, 6), round((1 - top) / storey)
    lit = mix(palette.sun, (255, 226, 150), 0.6)
    for row in range(1, rows):
        for column in range(columns):
            if die.random() < 0.38:
                left, y = x + width * (column + 0.28) / columns, top + row * storey
                right, foot = x + width * (column + 0.72) / columns, y + 0.42 * storey
                canvas.shape([(left, y), (right, y), (right, foot), (left, foot)], lit, die.uniform(0.4, 0.95))


def woods(canvas: Canvas, palette: Palette, die: Random) -> None:
    """Draw hills one behind the other, with fir trees."""
    sky(canvas, palette, die, 0.66)
    for i in range(4):
        depth = (i + 1) / 4
        line = ridge(die, 0.55 + 0.12 * i, 0.07, 0.42)
        colour = mix(palette.sky[-1], palette.near, 0.25 + 0.75 * depth)
        tall = 0.05 + 0.075 * depth
        for _ in range(44 - 6 * i):
            x, y = line[die.randrange(len(line))]
            up = tall * die.uniform(0.6, 1.2) * canvas.side / canvas.h
            across = 0.26 * up * canvas.h / canvas.w
            for tier in range(3):
                tip, foot, half = (
                    y - up * (1 - 0.24 * tier),
                    y - up * (0.5 - 0.27 * tier),
                    across * (0.55 + 0.25 * tier),
                )
                canvas.shape([(x, tip), (x + half, foot), (x - half, foot)], colour)
        canvas.shape([*line, (1, 1.1), (0, 1.1)], colour)


def circles(canvas: Canvas, palette: Palette, die: Random) -> None:
    """Draw translucent discs and rings over a gradient."""
    canvas.gradient(palette.sky, 0, 1)
    canvas.glow(die.uniform(0.2, 0.8), die.uniform(0.2, 0.8), 0.8, palette.sun, 0.5)
    inks = [*palette.sky, palette.sun, palette.near, mix(palette.sun, (255, 255, 255), 0.5)]
    for _ in range(11):
        x, y, radius = die.random(), die.random(), die.uniform(0.06, 0.34)
        canvas.disc(x, y, radius, die.choice(inks), die.uniform(0.15, 0.5))
        canvas.disc(x, y, radius * die.uniform(0.6, 1.25), die.choice(inks), 0.7, ring=die.uniform(0.015, 0.05))
    for _ in range(24):
        canvas.disc(die.random(), die.random(), die.uniform(0.004, 0.02), inks[-1], die.uniform(0.4, 0.9))


SCENES: dict[str, Callable[[Canvas, Palette, Random], None]] = {
    "mountains": mountains,
    "sea": sea,
    "city": city,
    "woods": woods,
    "circles": circles,
}

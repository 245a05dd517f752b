"""Draws scenes as pictures: flat shapes with smooth edges."""

from __future__ import annotations

import math
import random
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from gpu_worker.scenes.scene import COLORS, SIDE, Scene, Spot, laid_out

FINER: Final = 3  # scale of the drawing before it is reduced, for smooth edges
Points = list[tuple[float, float]]
Pixels = npt.NDArray[np.uint8]


def draw(scene: Scene, rng: random.Random) -> Pixels:
    """Draw the scene as SIDE x SIDE x 3 bytes."""
    image = Image.new("RGB", (SIDE * FINER, SIDE * FINER), COLORS[scene.background])
    pen = ImageDraw.Draw(image)
    for spot in laid_out(scene, rng):
        _shape(pen, spot, COLORS[scene.background])
    return np.asarray(image.reduce(FINER))


def silhouette(shape: str, side: int) -> npt.NDArray[np.bool_]:
    """Return the shape's mask, side x side, scaled to fill the square."""
    image = Image.new("L", (side * 4, side * 4), 0)
    finer = side * 4 / FINER
    _shape(ImageDraw.Draw(image), Spot(shape, "white", finer / 2, finer / 2, finer / 2), 0, fill=255)
    found = np.asarray(image) > 127
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    tight = image.crop((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    return np.asarray(tight.resize((side, side), Image.Resampling.BOX)) > 127


def _shape(pen: ImageDraw.ImageDraw, spot: Spot, background: object, fill: object = None) -> None:
    x, y, r = spot.x * FINER, spot.y * FINER, spot.radius * FINER
    color: object = COLORS[spot.color] if fill is None else fill
    if spot.shape in ("circle", "ring"):
        pen.ellipse((x - r, y - r, x + r, y + r), fill=color)  # type: ignore[arg-type]
        if spot.shape == "ring":
            inner = r * 0.55
            pen.ellipse((x - inner, y - inner, x + inner, y + inner), fill=background)  # type: ignore[arg-type]
        return
    pen.polygon([(x + r * px, y + r * py) for px, py in _OUTLINES[spot.shape]], fill=color)  # type: ignore[arg-type]


def _heart() -> Points:
    """Return the usual curve of sines, scaled into the unit circle."""
    turns = [math.tau * i / 60 for i in range(60)]
    curve = [
        (16 * math.sin(t) ** 3, -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)))
        for t in turns
    ]
    return [(x / 17, (y - 2.5) / 17) for x, y in curve]


def _star() -> Points:
    radii = (1.0, 0.42)
    return [(radii[i % 2] * math.sin(math.pi * i / 5), -radii[i % 2] * math.cos(math.pi * i / 5)) for i in range(10)]


_ARM = 0.33
_OUTLINES: Final[dict[str, Points]] = {
    "square": [(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)],
    "triangle": [(0, -0.95), (0.98, 0.75), (-0.98, 0.75)],
    "diamond": [(0, -1), (0.72, 0), (0, 1), (-0.72, 0)],
    "star": _star(),
    "heart": _heart(),
    "cross": [
        (-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM),
        (_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM),
    ],
}  # fmt: skip

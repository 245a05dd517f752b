"""Judges by its pixels whether a picture shows a scene: colours, number, shapes, places and sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from gpu_worker.scenes.drawing import Pixels, silhouette
from gpu_worker.scenes.scene import COLORS, PLACES, SHAPES, Scene, Thing

MIN_AREA: Final = 0.0045  # of the picture; smaller patches are specks, and more than SPECKS of them are a fault
SPECKS: Final = 0.004
STRAY: Final = 0.12  # of the side; how far a thing's middle may be from its place
TEMPLATE: Final = 40
BOUNDS: Final = {"small": (0.0, 0.28), "large": (0.46, 1.0), None: (0.2, 0.5)}  # longer side of a single thing
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Patch:
    """A connected area of one colour: its box's middle and longer side, and its area, as parts of the picture's."""

    color: str
    shape: str
    x: float
    y: float
    extent: float
    area: float


def judge(picture: Pixels, scene: Scene) -> str | None:
    """Return the picture's first fault in a few words; `None` if it shows the scene."""
    named = _named(picture)
    border = np.concatenate([named[0], named[-1], named[:, 0], named[:, -1]])
    words = list(COLORS)
    ground = words[int(np.bincount(border, minlength=len(words)).argmax())]
    if ground != scene.background:
        return f"the background is {ground}"
    wanted = {thing.color for thing in scene.things}
    patches = [p for color in words if color != ground for p in _patches(named == words.index(color), color)]
    found = [p for p in patches if p.area >= MIN_AREA]
    if wrong := [p for p in found if p.color not in wanted]:
        return f"there is {wrong[0].color}"
    if sum(p.area for p in patches if p.area < MIN_AREA and p.color in wanted) > SPECKS:
        return "there are specks"
    for thing in scene.things:
        if fault := _misses([p for p in found if p.color == thing.color], thing, alone=len(scene.things) == 1):
            return fault
    if len(scene.things) == 2:
        first, second = (next(p for p in found if p.color == thing.color) for thing in scene.things)
        return _unrelated(first, second, scene.relation)
    return None


def _misses(found: list[Patch], thing: Thing, *, alone: bool) -> str | None:
    if len(found) != thing.count:
        return f"{len(found)} {thing.color} patches"
    for patch in found:
        if patch.shape != thing.shape:
            return f"a {patch.color} {patch.shape}"
    if thing.count > 1 or not alone:
        return None
    (patch,) = found
    if thing.place:
        x, y = PLACES[thing.place]
        if max(abs(patch.x - x), abs(patch.y - y)) > STRAY:
            return f"it stands at {patch.x:.2f}, {patch.y:.2f}"
    if thing.size or not thing.place:
        least, most = BOUNDS[thing.size]
        if not least <= patch.extent <= most:
            return f"it is {patch.extent:.2f} long"
    return None


def _unrelated(first: Patch, second: Patch, relation: str | None) -> str | None:
    x, y = second.x - first.x, second.y - first.y
    true = {"left of": x > 0.15, "right of": x < -0.15, "above": y > 0.15, "below": y < -0.15, None: True}
    return None if true[relation] else f"it is not {relation}"


def _named(picture: Pixels) -> npt.NDArray[np.intp]:
    """Return the index of the nearest colour for each pixel; height x width."""
    palette = np.array(list(COLORS.values()), np.float32)
    flat = picture.reshape(-1, 3).astype(np.float32)
    distances = (flat**2).sum(1)[:, None] - 2 * flat @ palette.T + (palette**2).sum(1)
    nearest: npt.NDArray[np.intp] = distances.argmin(1).reshape(picture.shape[:2])
    return nearest


def _patches(mask: Mask, color: str) -> list[Patch]:
    """Return the connected areas, without lines of a few pixels, as antialiased edges leave them."""
    mask = _opened(mask)
    found = []
    for area in _areas(mask):
        rows, columns = np.flatnonzero(area.any(1)), np.flatnonzero(area.any(0))
        top, left, bottom, right = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
        side = mask.shape[0]
        box = area[top:bottom, left:right]
        found.append(
            Patch(
                color,
                _shape_of(box) if area.sum() / mask.size >= MIN_AREA else "speck",
                (left + right) / 2 / side,
                (top + bottom) / 2 / side,
                max(right - left, bottom - top) / side,
                float(area.sum() / mask.size),
            )
        )
    return found


def _opened(mask: Mask) -> Mask:
    """Remove areas narrower than three pixels."""
    kept = mask.copy()
    for axis in (0, 1):
        kept[1:-1, 1:-1] &= np.roll(mask, 1, axis)[1:-1, 1:-1] & np.roll(mask, -1, axis)[1:-1, 1:-1]
    grown = kept.copy()
    for axis in (0, 1):
        grown |= np.roll(kept, 1, axis) | np.roll(kept, -1, axis)
    return grown & mask


def _areas(mask: Mask) -> list[Mask]:
    """Return the 40 largest connected areas. Labels spread along rows and columns until nothing changes."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        before = labels.copy()
        for axis in (0, 1):
            for flip in (1, -1):
                view = labels if flip == 1 else np.flip(labels, axis)
                lines = view if axis == 0 else view.T
                for number in range(1, lines.shape[0]):
                    line = lines[number]
                    np.maximum(line, lines[number - 1], out=line, where=line > 0)
        if (labels == before).all():
            break
    numbers, sizes = np.unique(labels[labels > 0], return_counts=True)
    order = np.argsort(-sizes)
    return [labels == numbers[i] for i in order[:40]]


def _shape_of(box: Mask) -> str:
    """Return the shape whose silhouette, stretched into the box, overlaps best; the box's proportions count too."""
    height, width = box.shape
    rows = (np.arange(TEMPLATE) * height / TEMPLATE).astype(int)
    columns = (np.arange(TEMPLATE) * width / TEMPLATE).astype(int)
    seen = box[np.ix_(rows, columns)]
    scores = {}
    for shape in SHAPES:
        template, ratio = _template(shape)
        overlap = (seen & template).sum() / max(1, (seen | template).sum())
        scores[shape] = overlap - 0.5 * abs(np.log(width / height / ratio))
    return max(scores, key=lambda shape: scores[shape])


@cache
def _template(shape: str) -> tuple[Mask, float]:
    ratios = {"triangle": 1.96 / 1.7, "diamond": 0.72, "heart": 32 / 29.0, "star": 1.05}
    return silhouette(shape, TEMPLATE), ratios.get(shape, 1.0)


def share(pictures: list[Pixels], scenes: list[Scene]) -> float:
    """Return the share of the pictures that show their scenes."""
    return sum(judge(p, s) is None for p, s in zip(pictures, scenes, strict=True)) / len(scenes)

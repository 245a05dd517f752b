"""The scenes that the small model learns from: drawn as they are told, and judged by their pixels alone."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from gpu_worker.scenes.drawing import draw
from gpu_worker.scenes.judging import judge
from gpu_worker.scenes.scene import COLORS, PLACES, SHAPES, SIDE, Scene, Thing, random_scene


def lot(seed: int, count: int) -> list[Scene]:
    rng = random.Random(seed)
    return [random_scene(rng) for _ in range(count)]


def test_what_is_drawn_is_judged_to_be_there() -> None:
    rng = random.Random(3)
    for scene in lot(2, 60):
        assert judge(draw(scene, rng), scene) is None, scene


def changed(scene: Scene) -> list[Scene]:
    """The scene with one thing told otherwise."""
    first = scene.things[0]
    free = [color for color in COLORS if color not in (scene.background, *(t.color for t in scene.things))]
    others = [
        replace(first, color=free[0]),
        replace(first, shape=next(s for s in SHAPES if s != first.shape)),
        replace(first, count=first.count % 4 + 1) if len(scene.things) == 1 and not first.size else None,
    ]
    told = [replace(scene, things=(other, *scene.things[1:])) for other in others if other]
    told.append(replace(scene, background=free[1]))
    opposite = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    if scene.relation:
        told.append(replace(scene, relation=opposite[scene.relation]))
    if first.place:
        place = next(p for p in PLACES if PLACES[p][0] != PLACES[first.place or ""][0])
        told.append(replace(scene, things=(replace(first, place=place),)))
    return told


def test_another_scene_is_not_what_was_drawn() -> None:
    rng = random.Random(5)
    for scene in lot(4, 30):
        picture = draw(scene, rng)
        for other in changed(scene):
            assert judge(picture, other) is not None, (scene, other)


def test_specks_and_noise_spoil_a_picture() -> None:
    scene = Scene((Thing("circle", "red"),))
    picture = draw(scene, random.Random(1)).copy()
    rng = np.random.default_rng(1)
    for y, x in rng.integers(4, SIDE // 4, (12, 2)):
        picture[y : y + 4, x : x + 4] = COLORS["red"]
    assert judge(picture, scene) is not None
    assert judge(rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8), scene) is not None


@pytest.mark.parametrize("extent", [(0.1, 0.9), (0.3, 0.7)])
def test_a_blurred_thing_is_still_seen(extent: tuple[float, float]) -> None:
    scene = Scene((Thing("square", "blue", 1, None, "on the right"),))
    picture = draw(scene, random.Random(2)).astype(float)
    near, far = extent
    soft = far * picture + near * (np.roll(picture, 1, 0) + np.roll(picture, -1, 1)) / 2
    assert judge(soft.round().astype(np.uint8), scene) is None


def test_a_caption_says_what_is_drawn() -> None:
    rng = random.Random(6)
    for scene in lot(7, 40):
        text = scene.caption(rng)
        for thing in scene.things:
            assert thing.color in text
            assert thing.shape in text
        assert scene.background in text or scene.background == "white"


def test_equal_seeds_draw_equal_scenes() -> None:
    assert lot(8, 20) == lot(8, 20)
    scene = lot(9, 1)[0]
    assert (draw(scene, random.Random(1)) == draw(scene, random.Random(1))).all()

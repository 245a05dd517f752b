"""Scene, shadow and product together: opaque pixels of the product to the bit, and a proof that notices one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gpu_worker.background import composite
from gpu_worker.background.composite import NotExact, blended, compose, proven, shadow
from gpu_worker.background.cutout import by_alpha
from gpu_worker.background.placement import Placed, place
from gpu_worker.pipelines.pictures import read
from tests.gpu_worker.background.products import draw


def placed_of(seed: int) -> Placed:
    return place(by_alpha(read(draw(seed).file(alpha=True))), 256, 200)


def scene_of(seed: int, width: int = 256, height: int = 200) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_the_opaque_core_is_the_uploads_to_the_bit(seed: int, scaled: bool) -> None:
    placed = placed_of(seed)
    made, exact = compose(scene_of(seed, 128, 96) if scaled else scene_of(seed), placed)
    core, clear = placed.alpha == 255, placed.alpha == 0
    assert np.array_equal(made[core], placed.rgb[core])
    assert core.sum() / (~clear).sum() <= exact <= 1


def test_without_a_shadow_the_scene_is_as_it_was_where_the_product_is_not() -> None:
    placed, scene = placed_of(1), scene_of(1)
    made, _ = compose(scene, placed, strength=0)
    clear = placed.alpha == 0
    assert np.array_equal(made[clear], scene[clear])


@pytest.mark.parametrize("alpha", range(0, 256, 5))
def test_blending_is_rounded_to_the_nearest_level(alpha: int) -> None:
    under, over = scene_of(1, 16, 16), scene_of(2, 16, 16)
    made = blended(under, over, np.full((16, 16), alpha, np.uint8))
    true = over * (alpha / 255) + under * (1 - alpha / 255)
    assert np.abs(made - true).max() <= 0.5 + 1e-9


def test_one_level_in_one_channel_of_the_core_is_noticed() -> None:
    placed = placed_of(0)
    made, _ = compose(scene_of(0), placed)
    row, column = np.argwhere(placed.alpha == 255)[17]
    made[row, column, 1] ^= 1
    with pytest.raises(NotExact, match="1 pixel"):
        proven(made, placed)


def test_an_answer_that_is_not_exact_is_never_given(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = composite.blended
    monkeypatch.setattr(composite, "blended", lambda *a: plain(*a) // 2 * 2)
    with pytest.raises(NotExact):
        compose(scene_of(0), placed_of(0))


def test_the_fraction_is_what_is_equal_of_all_that_is_seen() -> None:
    rgb = np.full((10, 10, 3), 100, np.uint8)
    alpha = np.zeros((10, 10), np.uint8)
    alpha[2:8, 2:8] = 255
    alpha[2, 2:8] = 128
    made, exact = compose(np.zeros((10, 10, 3), np.uint8), Placed(rgb, alpha, (0, 0)))
    assert exact == 30 / 36
    assert made[2, 3].tolist() == [50, 50, 50]


@pytest.mark.parametrize("seed", range(4))
def test_the_shadow_lies_where_the_product_stands(seed: int) -> None:
    placed = placed_of(seed)
    dark = shadow(placed.alpha, 0.5)
    rows = np.flatnonzero(placed.alpha.max(axis=1))
    bottom = int(rows[-1])
    assert dark.max() <= 0.5
    assert abs(int(dark.sum(axis=1).argmax()) - bottom) <= (bottom - rows[0]) * 0.1 + 1
    assert dark[: int(rows[0])].sum() == 0
    assert dark[bottom + 1].max() > 0.1


def test_the_shadow_darkens_the_scene_and_never_the_product() -> None:
    placed = placed_of(1)
    light = np.full((200, 256, 3), 200, np.uint8)
    with_it, _ = compose(light, placed, strength=0.5)
    without, _ = compose(light, placed, strength=0)
    assert (with_it <= without).all()
    assert (with_it < without).any()
    core = placed.alpha == 255
    assert np.array_equal(with_it[core], without[core])


def test_the_same_parts_give_the_same_bytes() -> None:
    placed = placed_of(3)
    assert np.array_equal(compose(scene_of(3), placed)[0], compose(scene_of(3), dataclasses.replace(placed))[0])


def test_the_shadow_is_that_of_what_is_solid() -> None:
    alpha = np.zeros((200, 200), np.uint8)
    alpha[60:140, 60:140] = 255
    soft = alpha.copy()
    soft[140:180, 50:150] = 100  # a shadow that the cut-out came with
    soft[199, 0] = 127
    assert np.array_equal(shadow(alpha), shadow(soft))
    assert shadow(np.where(alpha > 0, 90, 0).astype(np.uint8)).max() == 0

"""The product on its canvas: whole pixels, never scaled; and what the inpainting model is shown of it."""

from __future__ import annotations

import numpy as np
import pytest

from gpu_worker.background.cutout import Cutout, by_alpha
from gpu_worker.background.placement import conditioning, place, scene_size
from gpu_worker.contract import Refusal
from gpu_worker.pipelines.pictures import read
from tests.gpu_worker.background.products import draw


@pytest.fixture(params=range(4))
def cut(request: pytest.FixtureRequest) -> Cutout:
    return by_alpha(read(draw(request.param).file(alpha=True)))


def inside(cut: Cutout) -> tuple[np.ndarray, np.ndarray]:
    left, top, right, bottom = cut.box
    return cut.rgb[top:bottom, left:right], cut.alpha[top:bottom, left:right]


@pytest.mark.parametrize(
    ("width", "height", "padding"), [(0, 0, None), (0, 0, 0), (0, 0, 33), (512, 256, None), (301, 207, 10)]
)
def test_the_product_is_moved_and_never_scaled(cut: Cutout, width: int, height: int, padding: int | None) -> None:
    placed = place(cut, width, height, padding)
    again = Cutout(placed.rgb, placed.alpha)
    for mine, theirs in zip(inside(again), inside(cut), strict=True):
        assert np.array_equal(mine, theirs)
    assert placed.size == ((width, height) if width else placed.size)


def test_with_nothing_said_the_photos_framing_is_kept(cut: Cutout) -> None:
    placed = place(cut)
    assert placed.at == (0, 0)
    assert np.array_equal(placed.alpha, cut.alpha)


def test_a_padding_alone_is_the_space_on_each_side(cut: Cutout) -> None:
    placed = place(cut, padding=25)
    left, top, right, bottom = Cutout(placed.rgb, placed.alpha).box
    assert (left, top, placed.size[0] - right, placed.size[1] - bottom) == (25, 25, 25, 25)


def test_with_a_size_the_product_stands_in_the_middle(cut: Cutout) -> None:
    placed = place(cut, 400, 300)
    left, top, right, bottom = Cutout(placed.rgb, placed.alpha).box
    assert abs(left - (400 - right)) <= 1
    assert abs(top - (300 - bottom)) <= 1


def test_a_canvas_too_small_for_the_product_is_refused_with_the_size_it_needs(cut: Cutout) -> None:
    left, top, right, bottom = cut.box
    need = (right - left + 20, bottom - top + 20)
    place(cut, *need, padding=10)
    for less in ((need[0] - 1, need[1]), (need[0], need[1] - 1)):
        with pytest.raises(Refusal, match=f"{need[0]}x{need[1]}"):
            place(cut, *less, padding=10)


def test_a_canvas_beyond_the_limit_is_refused(cut: Cutout) -> None:
    with pytest.raises(Refusal):
        place(cut, padding=2048)


@pytest.mark.parametrize(
    ("size", "most", "scene"),
    [
        ((1024, 1024), 1024 * 1024, (1024, 1024)),
        ((2048, 1024), 1024 * 1024, (1448, 720)),
        ((500, 300), 1024 * 1024, (496, 296)),
        ((16, 16), 1024 * 1024, (64, 64)),
    ],
)
def test_a_scene_has_the_canvas_proportions_within_what_the_model_paints(
    size: tuple[int, int], most: int, scene: tuple[int, int]
) -> None:
    assert scene_size(*size, most) == scene


@pytest.mark.parametrize("width", [16, 100, 777, 4096])
@pytest.mark.parametrize("height", [16, 333, 4096])
def test_every_canvas_has_a_scene_that_a_model_can_paint(width: int, height: int) -> None:
    wide, tall = scene_size(width, height, 512 * 512)
    assert wide % 8 == tall % 8 == 0
    assert min(wide, tall) >= 64
    assert wide * tall <= 512 * 512


def test_the_model_is_kept_from_the_product_and_a_little_around_it(cut: Cutout) -> None:
    placed = place(cut, 256, 256)
    shown, mask = conditioning(placed, (128, 128))
    painted = np.asarray(mask) == 255
    small = placed.alpha.reshape(128, 2, 128, 2).max(axis=(1, 3)) > 0
    assert set(np.unique(np.asarray(mask)).tolist()) == {0, 255}
    assert not painted[small].any()
    grown = np.zeros_like(small)
    rows, columns = small.nonzero()
    for dy, dx in ((-4, 0), (4, 0), (0, -4), (0, 4)):
        grown[np.clip(rows + dy, 0, 127), np.clip(columns + dx, 0, 127)] = True
    assert not painted[grown].any()
    assert painted[0].all()
    assert shown.size == mask.size == (128, 128)

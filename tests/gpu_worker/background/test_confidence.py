"""The score and its parts: known values where there are any, and a fall wherever a cut-out gets worse."""

from __future__ import annotations

import numpy as np
import pytest

from gpu_worker.background.confidence import area_fraction, edge_clipped, expansion, mask_certainty, overall
from tests.gpu_worker.background.products import draw, falls, softened

GOOD = {
    "mask_certainty": 0.98,
    "expansion": 0.02,
    "expansion_shown": 0.01,
    "edge_clipped": 0.0,
    "area_fraction": 0.3,
}


def disc(radius: float, side: int = 400) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    return np.asarray(np.hypot(x, y) <= radius, np.float32)


def test_a_disc_grown_by_a_tenth_has_grown_by_a_fifth_of_its_area() -> None:
    assert expansion(disc(150), disc(165)) == pytest.approx(0.21, abs=0.005)


def test_an_object_that_shrank_has_not_grown() -> None:
    assert expansion(disc(150), disc(120)) == 0


@pytest.mark.parametrize(("level", "certainty"), [(0.5, 0.0), (0.75, 0.25), (1.0, 1.0)])
def test_certainty_is_what_the_formula_says_for_an_even_mask(level: float, certainty: float) -> None:
    assert mask_certainty(disc(100) * np.float32(level)) == pytest.approx(certainty)


def test_certainty_does_not_depend_on_how_much_ground_there_is() -> None:
    mask = softened(disc(60, 200), 8)
    assert mask_certainty(mask) == pytest.approx(mask_certainty(np.pad(mask, 300)))


def test_the_whole_border_covered_is_one_and_none_of_it_nothing() -> None:
    assert edge_clipped(np.full((20, 30), 255, np.uint8)) == 1
    assert edge_clipped(np.pad(np.full((18, 28), 255, np.uint8), 1)) == 0


def test_area_is_the_share_of_the_photo() -> None:
    alpha = np.zeros((10, 10), np.uint8)
    alpha[:3] = 255
    assert area_fraction(alpha) == pytest.approx(0.3)


def test_a_good_cut_out_scores_high_and_the_score_stays_within_its_bounds() -> None:
    assert overall(GOOD) > 0.9
    assert overall({}) == 1
    worst = {"mask_certainty": 0.0, "expansion": 9.0, "edge_clipped": 1.0, "area_fraction": 0.0}
    assert overall(worst) == 0


@pytest.mark.parametrize(
    ("part", "levels"),
    [
        ("area_fraction", (0.92, 0.95, 1.0)),
        ("area_fraction", (0.019, 0.01, 0.001)),
        ("edge_clipped", (0.01, 0.1, 0.3)),
        ("expansion", (0.05, 0.2, 1.0)),
        ("expansion_shown", (0.05, 0.2, 1.0)),
        ("mask_certainty", (0.9, 0.7, 0.2)),
    ],
)
def test_the_score_falls_with_every_part(part: str, levels: tuple[float, ...]) -> None:
    scores = [overall(GOOD), *(overall(GOOD | {part: level}) for level in levels)]
    assert falls(scores)


def test_a_part_that_is_null_has_no_say() -> None:
    assert overall(GOOD | {"mask_certainty": None}) == pytest.approx(overall(GOOD) / 0.98)


@pytest.mark.parametrize("seed", range(4))
def test_certainty_falls_as_the_edge_softens(seed: int) -> None:
    scores = [mask_certainty(softened(draw(seed).coverage, radius)) for radius in (0, 1, 2, 4, 8, 16)]
    assert falls(scores)

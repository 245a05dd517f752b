"""Every permitted size is reached exactly, from the model's nearest ratio."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.domain import catalogue
from lambdas.domain.catalogue import sizes
from lambdas.domain.jobs.request import MAX_SIDE, MIN_SIDE, SIDE_STEP

CORE = catalogue.cards_of("bedrock")[0]
DEMO = catalogue.cards_of("demo")[-1]
sides = st.integers(MIN_SIDE // SIDE_STEP, MAX_SIDE // SIDE_STEP).map(lambda steps: steps * SIDE_STEP)


@pytest.mark.parametrize(
    ("width", "height", "ratio"),
    [
        (512, 512, "1:1"),
        (1024, 1024, "1:1"),
        (1920, 1080, "16:9"),
        (1080, 1920, "9:16"),
        (1024, 768, "5:4"),
        (768, 1024, "4:5"),
        (1536, 1024, "3:2"),
        (1024, 1536, "2:3"),
        (2048, 64, "21:9"),
        (64, 2048, "9:21"),
        (2048, 880, "21:9"),
        (520, 512, "1:1"),
    ],
)
def test_nearest_ratio(width: int, height: int, ratio: str) -> None:
    plan = sizes.plan(CORE, width, height)
    assert (plan.final, plan.ratio, plan.generate) == ((width, height), ratio, CORE.ratios[ratio])


@given(width=sides, height=sides)
def test_the_final_size_is_what_was_asked_and_no_other_ratio_is_nearer(width: int, height: int) -> None:
    plan = sizes.plan(CORE, width, height)
    assert plan.final == (width, height)
    assert plan.ratio is not None
    assert plan.generate == CORE.ratios[plan.ratio]

    def distance(size: tuple[int, int]) -> float:
        return abs(math.log((size[0] / size[1]) / (width / height)))

    assert distance(plan.generate) == pytest.approx(min(distance(size) for size in CORE.ratios.values()))


@given(width=sides, height=sides)
def test_turned_on_its_side_the_plan_turns_too(width: int, height: int) -> None:
    plan, turned = sizes.plan(CORE, width, height), sizes.plan(CORE, height, width)
    distances = [abs(math.log(p.generate[0] / p.generate[1] / (p.final[0] / p.final[1]))) for p in (plan, turned)]
    assert distances[0] == pytest.approx(distances[1])


@given(width=sides, height=sides)
def test_a_model_of_any_size_makes_it_itself(width: int, height: int) -> None:
    assert sizes.plan(DEMO, width, height) == sizes.SizePlan((width, height), (width, height), None)


def test_what_the_client_left_open() -> None:
    assert sizes.plan(CORE, None, None).final == CORE.default_size
    assert sizes.plan(DEMO, None, None).final == DEMO.default_size
    assert sizes.plan(CORE, 640, None).final == (640, 640)
    assert sizes.plan(CORE, None, 640).final == (640, 640)


@pytest.mark.parametrize(
    ("final", "made", "by"),
    [
        ((512, 512), (1024, 1024), "reduced"),
        ((2048, 2048), (1024, 1024), "enlarged"),
        ((1024, 512), (1344, 768), "reduced+cropped"),
        ((2048, 64), (1536, 640), "enlarged+cropped"),
        ((1024, 768), (1024, 1024), "cropped"),
    ],
)
def test_the_note_says_what_was_done(final: tuple[int, int], made: tuple[int, int], by: str) -> None:
    note = sizes.SizePlan(final, made, None).note(made)
    assert note == sizes.Sizing(f"{made[0]}x{made[1]}", f"{final[0]}x{final[1]}", by)


def test_no_note_for_a_picture_that_fits() -> None:
    assert sizes.SizePlan((512, 512), (1024, 1024), "1:1").note((512, 512)) is None

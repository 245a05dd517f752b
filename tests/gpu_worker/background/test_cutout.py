"""The product cut out: an alpha as it was sent, a segmenter's mask feathered inward, nothing found refused."""

from __future__ import annotations

import numpy as np
import pytest

from gpu_worker.background.cutout import by_alpha, by_probability
from gpu_worker.contract import Refusal
from gpu_worker.pipelines.pictures import Picture, read
from tests.gpu_worker.background.products import draw


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_alpha_channel_is_used_as_it_is(kind: str) -> None:
    product = draw(2)
    picture = read(product.file(alpha=True, kind=kind))
    cut = by_alpha(picture)
    assert np.array_equal(cut.alpha, np.round(product.coverage * 255).astype(np.uint8))
    assert np.array_equal(cut.rgb, product.rgb)
    assert cut.probability is None


def test_an_alpha_channel_that_is_opaque_everywhere_is_none() -> None:
    product = draw(1)
    product.coverage[:] = 1
    assert read(product.file(alpha=True)).alpha is None


def test_the_mask_of_a_segmenter_lies_within_its_half() -> None:
    product = draw(0)
    cut = by_probability(Picture(product.rgb, None), product.coverage)
    assert not cut.alpha[product.coverage <= 0.5].any()
    assert (cut.alpha[product.coverage >= 0.9] == 255).all()


def test_the_soft_edge_loses_the_colour_of_the_old_ground_and_the_core_stays() -> None:
    rgb = np.full((40, 40, 3), 255, np.uint8)
    rgb[10:30, 10:30] = (200, 0, 0)
    probability = np.zeros((40, 40), np.float32)
    probability[10:30, 10:30] = 1
    rgb[10:30, 30] = (228, 128, 128)
    probability[10:30, 30] = 0.7
    cut = by_probability(Picture(rgb, None), probability)
    edge = cut.rgb[15, 30]
    assert 0 < cut.alpha[15, 30] < 255
    assert abs(int(edge[0]) - 200) <= 1
    assert edge[1] == edge[2] == 0
    core = cut.alpha == 255
    assert np.array_equal(cut.rgb[core], rgb[core])


@pytest.mark.parametrize("level", [0.0, 0.3])
def test_where_nothing_is_found_the_request_is_refused(level: float) -> None:
    product = draw(0)
    with pytest.raises(Refusal) as refused:
        by_probability(Picture(product.rgb, None), np.full_like(product.coverage, level))
    assert refused.value.code == "invalid_request"


def test_an_alpha_that_shows_nothing_is_refused() -> None:
    product = draw(0)
    product.coverage[:] = 0
    with pytest.raises(Refusal):
        by_alpha(read(product.file(alpha=True)))


def test_the_box_is_what_is_not_wholly_clear() -> None:
    product = draw(1, 50, 40)
    product.coverage[:] = 0
    product.coverage[5:12, 20:33] = 1
    assert by_alpha(read(product.file(alpha=True))).box == (20, 5, 33, 12)


@pytest.mark.parametrize("share", [0.0, 0.02, 1.0])
def test_what_nobody_sees_is_no_product(share: float) -> None:
    product = draw(1)
    levels = np.round(product.coverage * 255)
    there = np.less(np.random.default_rng(4).random(levels.shape), share)
    there[0, 0] = True
    product.coverage[:] = np.where(there & (levels == 0), 11 / 255, product.coverage)
    clean, faint = by_alpha(read(draw(1).file(alpha=True))), by_alpha(read(product.file(alpha=True)))
    assert clean.box == faint.box
    assert np.array_equal(clean.alpha, faint.alpha)
    assert (clean.faint, faint.faint) == (False, True)


@pytest.mark.parametrize("level", [12, 90, 200])
def test_a_half_clear_product_is_one(level: int) -> None:
    product = draw(0)
    product.coverage[:] = np.where(product.coverage > 0.5, level / 255, 0)
    cut = by_alpha(read(product.file(alpha=True)))
    assert np.array_equal(cut.alpha > 0, product.coverage > 0)
    assert cut.half == (level + 1) // 2
    product.coverage[:] = np.where(product.coverage > 0, 11 / 255, 0)
    with pytest.raises(Refusal):
        by_alpha(read(product.file(alpha=True)))

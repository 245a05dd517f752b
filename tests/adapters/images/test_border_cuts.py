"""Cut-outs by the border's colour: no white rim, enclosed areas kept and reported, bounded time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lambdas.adapters.images.border_cuts import _reached
from lambdas.adapters.images.cutouts import ENCLOSED, Cutout
from tests.gpu_worker.background.products import draw
from tests.support.work import lines

INK = (20, 30, 60)


def _can(size: tuple[int, int], label: bool, fine: int = 4) -> tuple[Image.Image, Any]:
    """A dark can on white, with a white label or without, and the true share of each pixel."""
    wide, tall = size[0] * fine, size[1] * fine
    photo, share = Image.new("RGB", (wide, tall), "white"), Image.new("L", (wide, tall))
    body = (wide * 0.2, tall * 0.15, wide * 0.8, tall * 0.85)
    ImageDraw.Draw(photo).ellipse(body, fill=INK)
    ImageDraw.Draw(share).ellipse(body, fill=255)
    if label:
        ImageDraw.Draw(photo).rectangle((wide * 0.35, tall * 0.35, wide * 0.65, tall * 0.65), fill="white")
    scaled = share.resize(size, Image.Resampling.BOX)
    return photo.resize(size, Image.Resampling.BOX), np.asarray(scaled, float) / 255


@pytest.mark.parametrize("size", [(200, 150), (1300, 900)])
def test_the_rim_has_the_product_s_colour_and_its_share(size: tuple[int, int]) -> None:
    photo, share = _can(size, label=False)
    cut = Cutout.by_border(photo)
    alpha, colours = np.asarray(cut.alpha) / 255, np.asarray(cut.rgb).astype(int)
    soft = (alpha > 0) & (alpha < 1)
    assert soft.sum() > 100
    assert np.abs(colours[soft] - INK).max() <= 12  # the old ground was 200 levels away
    assert np.abs(alpha - share).max() < 0.2
    on_black = (colours * alpha[..., None])[soft]
    assert (on_black.max(axis=1) <= 72).all()
    core = alpha == 1
    assert np.array_equal(colours[core], np.asarray(photo)[core])
    assert cut.judged()[1]["enclosed_fraction"] == 0


@pytest.mark.parametrize("size", [(200, 150), (1300, 900)])
def test_a_white_label_on_white_stays_and_lowers_the_confidence(size: tuple[int, int]) -> None:
    photo, share = _can(size, label=True)
    cut = Cutout.by_border(photo)
    assert np.abs(np.asarray(cut.alpha) / 255 - share).mean() < 0.005
    whole = Cutout.by_border(_can(size, label=False)[0]).judged()[0]
    score, parts, said = cut.judged()
    assert 0.2 < (parts["enclosed_fraction"] or 0) < 0.4
    assert score < 0.8 < whole
    assert ENCLOSED in said


@pytest.mark.parametrize("seed", range(8))
def test_the_cut_is_near_the_true_shares(seed: int) -> None:
    product = draw(seed, 320, 240)
    cut = Cutout.by_border(Image.fromarray(product.rgb))
    score, parts, _ = cut.judged()
    away = np.abs(np.asarray(cut.alpha) / 255 - product.coverage)
    if seed % 4 == 3:  # a ring, whose hole cannot be told from a white label
        assert (parts["enclosed_fraction"] or 0) > 0.05
    else:
        assert away.mean() < 0.005
        assert score > 0.9


def test_what_hangs_together_with_the_border_is_told_as_a_flood_would() -> None:
    rng = np.random.default_rng(2)
    for _ in range(30):
        there = rng.random((17, 23)) < 0.6
        wet = np.zeros_like(there)
        wet[[0, -1], :] = wet[:, [0, -1]] = True
        wet &= there
        while True:
            more = wet.copy()
            more[1:] |= wet[:-1]
            more[:-1] |= wet[1:]
            more[:, 1:] |= wet[:, :-1]
            more[:, :-1] |= wet[:, 1:]
            more &= there
            if (more == wet).all():
                break
            wet = more
        made = _reached(Image.fromarray((there * 255).astype(np.uint8)))
        assert np.array_equal(np.asarray(made) == 255, wet)


def test_noise_and_spirals_take_no_longer_than_a_product() -> None:
    noise = Image.effect_noise((1500, 1500), 90).convert("RGB")
    comb = Image.new("RGB", (1500, 1500), "white")
    for n in range(10, 1500, 6):
        ImageDraw.Draw(comb).rectangle((n, 0 if n % 12 else 20, n + 2, 1500 if n % 12 == 0 else 1480), fill="black")
    product = Image.new("RGB", (1500, 1500), "white")
    ImageDraw.Draw(product).ellipse((100, 100, 1400, 1400), fill="black")
    usual = lines(Cutout.by_border, product)
    for photo in (noise, comb):
        assert lines(Cutout.by_border, photo) <= usual

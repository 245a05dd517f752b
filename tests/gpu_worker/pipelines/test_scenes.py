"""Product backgrounds by a real inpainting pipeline, tiny and untrained: the product stays exact all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpu_worker.background.model import BackgroundPainter
from gpu_worker.contract import PaintRequest
from gpu_worker.engine.protocol import Painting
from tests.gpu_worker.background.products import draw


def asked(product: int, **changed: Any) -> PaintRequest:
    values: dict[str, Any] = {
        "task": "background",
        "id": "1",
        "model": "tiny/scenes",
        "prompt": "",
        "width": 0,
        "height": 0,
        "seed": product,
        "format": "png",
        "image": draw(product, 96, 80).file(alpha=True),
        "steps": 2,
    }
    return PaintRequest(**(values | changed))


def painted(scenes: Any, request: PaintRequest) -> Painting:
    (outcome,) = BackgroundPainter(scenes, lambda: None).paint([request], 1, lambda: None)
    assert isinstance(outcome, Painting), outcome
    return outcome


@pytest.mark.parametrize("size", [{}, {"padding": 40}, {"width": 200, "height": 136}], ids=["photo", "padding", "size"])
@pytest.mark.parametrize("seed", range(3))
def test_the_product_is_exact_and_the_scene_is_new(seed: int, size: dict[str, int], scenes: Any) -> None:
    made = painted(scenes, asked(seed, **size))
    product = draw(seed, 96, 80)
    core = np.round(product.coverage * 255) == 255
    assert np.array_equal(made.image[made.mask == 255], product.rgb[core])
    ground = made.image[made.mask == 0]
    assert ground.std() > 1
    if not size:
        assert not np.array_equal(ground, product.rgb[made.mask == 0])


def test_the_same_request_is_the_same_bytes_and_another_seed_is_not(scenes: Any) -> None:
    first, again = (painted(scenes, asked(1)).image for _ in range(2))
    other = painted(scenes, asked(1, seed=99)).image
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_prompt_decides_the_scene(scenes: Any) -> None:
    beach, snow = (painted(scenes, asked(1, prompt=prompt)).image for prompt in ("a beach", "snow"))
    assert not np.array_equal(beach, snow)

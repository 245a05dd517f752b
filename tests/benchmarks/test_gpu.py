"""The GPU benchmark's arithmetic: its lower bound, and its table."""

from __future__ import annotations

import pytest

from benchmarks.gpu.floor import Part, Peaks, seconds
from benchmarks.gpu.loads import Measured

pytestmark = pytest.mark.xdist_group("torch")


def test_random_sdxl_has_the_weights_and_the_flops_of_the_real_one() -> None:
    import torch

    from benchmarks.gpu import floor, weights

    networks = weights.sdxl(torch.device("meta"), torch.float32)
    parts = {part.name: part for part in floor.count(networks, 512, 1)}
    deepest = networks["unet"].mid_block.attentions[0].transformer_blocks[0].attn1
    assert (deepest.heads, deepest.inner_dim) == (20, 1280)  # which change neither
    assert parts["unet"].weights == 2_567_463_684
    assert parts["text 1"].weights == 123_060_480
    assert parts["text 2"].weights == 694_659_840
    assert round(parts["unet"].flops / 1e9) == 1589
    assert round(parts["decoder"].flops / 1e9) == 2515


@pytest.mark.parametrize(("bucket", "expected"), [(1, 2.0 + 3.0), (4, 2.0 + 12.0), (8, 4.0 + 24.0)])
def test_a_part_takes_what_its_weights_or_its_flops_take_whichever_is_longer(bucket: int, expected: float) -> None:
    heavy = Part("heavy", flops=100, weights=500, runs=2)  # 1 s to read at two bytes each, 1/4 s to compute for one
    busy = Part("busy", flops=1200, weights=50, runs=1)  # 1/10 s to read, 3 s to compute for one
    assert seconds([heavy, busy], bucket, 2, Peaks(flops=400, bandwidth=1000)) == pytest.approx(expected)


def test_a_ratio_is_taken_within_its_round() -> None:
    from benchmarks.gpu.pipelines import PEER, rows

    made = []
    for mine, theirs in ((10.0, 5.0), (4.0, 1.0), (90.0, 30.0)):
        made += [("load", "worker", _at(mine)), ("load", PEER, _at(theirs))]
    peer, worker = rows(made, {PEER: 100.0, "worker": 100.0}, gpu=True)
    assert (peer["times"], worker["times"]) == (1.0, 3.0)
    assert worker["latency"] == worker["cpu"] == pytest.approx(1 / 3)
    assert worker["images_per_s"] == 10.0
    assert worker["of_it"] == pytest.approx(0.1)


def _at(speed: float) -> Measured:
    return Measured.of(1 / speed, [1 / speed], 1 / speed)

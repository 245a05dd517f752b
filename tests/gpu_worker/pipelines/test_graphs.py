"""Recordings of the UNet, with a recorder that plays on the CPU: only true ones are used, and only for their shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from gpu_worker.pipelines.batch import Item, Run
from gpu_worker.pipelines.graphs import Recorder, install


def paint(sampler: Any, bucket: int = 2, adapters: Any = ()) -> Any:
    run = Run("text-to-image", 64, 64, 3, 3.0, 1, adapters)
    return sampler.paint(run, [Item("cat", None, 5)], bucket, lambda: None)[0]


class FixedMemory:
    """Records as a GPU would: a play computes from the fixed inputs, and gives the same tensor every time."""

    def __init__(self, off: float = 0.0) -> None:
        self.plays = 0
        self.off = off

    def __call__(self, run: Callable[[], torch.Tensor]) -> Callable[[], torch.Tensor]:
        out = run().clone()

        def play() -> torch.Tensor:
            self.plays += 1
            return out.copy_(run() + self.off)

        return play


def test_a_replay_gives_the_pixels_of_the_model(new_sampler: Any) -> None:
    made = new_sampler()
    plain, other = paint(made), paint(made, 3)
    fixed = FixedMemory()
    recorder = install(made._parts.any.unet, compiled=False, capture=fixed)
    assert np.array_equal(paint(made), plain)
    assert np.array_equal(paint(made, 3), other)
    assert np.array_equal(paint(made), plain)
    assert recorder.recorded == 2
    assert fixed.plays >= 9


@pytest.mark.parametrize("failing", ["raises", "wrong"])
def test_a_recording_that_fails_or_differs_is_not_used(failing: str, new_sampler: Any) -> None:
    made = new_sampler()
    plain = paint(made)

    def capture(_run: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    recorder = install(
        made._parts.any.unet, compiled=False, capture=capture if failing == "raises" else FixedMemory(off=1.0)
    )
    assert np.array_equal(paint(made), plain)
    assert recorder.recorded == 0


def test_the_shape_used_least_recently_is_let_go(new_sampler: Any) -> None:
    made = new_sampler()
    recorder = Recorder(made._parts.any.unet, FixedMemory(), most=2)
    made._parts.any.unet.forward = recorder
    for bucket in (1, 2, 1, 3):
        paint(made, bucket)
    keys: Any = recorder._made
    assert sorted(key[0][1][0] // 2 for key in keys) == [1, 3]


def test_no_room_for_a_recording_is_told_to_the_engine(new_sampler: Any) -> None:
    from gpu_worker.engine.protocol import OutOfMemory

    made = new_sampler()

    def capture(_run: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    install(made._parts.any.unet, compiled=False, capture=capture)
    with pytest.raises(OutOfMemory):
        paint(made)


def test_a_recorder_that_is_off_leaves_the_model_to_itself(new_sampler: Any) -> None:
    made = new_sampler()
    fixed = FixedMemory()
    recorder = install(made._parts.any.unet, compiled=False, capture=fixed)
    recorder.enabled = False
    paint(made)
    assert fixed.plays == recorder.recorded == 0

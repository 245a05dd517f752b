"""Provides the common parts of the training: its length, random scenes, pictures as tensors, one optimiser step."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from gpu_worker.scenes.drawing import Pixels
from gpu_worker.scenes.scene import Scene, random_scene

HELD_OUT: Final = 20  # one scene in this many is never trained on


@dataclass(frozen=True)
class Plan:
    """The length of the training. The published weights had slightly more, see the worker's README."""

    seed: int = 1
    coder_steps: int = 4000
    polish_steps: int = 6000
    coder_batch: int = 24
    scenes: int = 48_000
    steps: int = 8_000
    batch: int = 64
    together_steps: int = 1_600
    together_batch: int = 16
    judged: int = 100  # held-out scenes at each evaluation, four times as many at the end


def held_out(scene: Scene) -> bool:
    """Return whether the scene is kept for judging; depends on its content alone, so that all runs agree."""
    return hashlib.sha256(repr(scene).encode()).digest()[0] * HELD_OUT < 256


def scenes(rng: random.Random, *, kept: bool = False) -> Iterator[Scene]:
    """Yield random scenes: for training, or with `kept` those held out."""
    while True:
        scene = random_scene(rng)
        if held_out(scene) == kept:
            yield scene


def starry(rng: random.Random) -> Iterator[Scene]:
    """Yield training scenes, most with a star, whose points are the hardest to decode."""
    for scene in scenes(rng):
        if any(thing.shape == "star" for thing in scene.things) or rng.random() < 0.4:
            yield scene


def tensor(pictures: Sequence[Pixels]) -> Tensor:
    """Convert pictures to B x 3 x H x W, from -1 to 1."""
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    return (stacked / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def pictures(values: Tensor) -> list[Pixels]:
    """Convert back from `tensor`."""
    scaled = ((values.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return list(scaled.permute(0, 2, 3, 1).contiguous().numpy())


def rate(step: int, steps: int, top: float) -> float:
    """Return the learning rate: a linear warm-up of a hundredth of the steps, then a cosine decay."""
    warm = max(1, steps // 100)
    return top * min(1.0, (step + 1) / warm) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def unlike(made: Tensor, true: Tensor) -> Tensor:
    """Return the loss between pictures, with extra weight on edges."""
    off = made - true
    edges = off.diff(dim=2).abs().mean() + off.diff(dim=3).abs().mean()
    return off.abs().mean() + off.square().mean() + 0.5 * edges


def optimise(optimizer: Any, learning: torch.nn.Module, loss: Tensor, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learning.parameters(), 1.0)
    optimizer.step()

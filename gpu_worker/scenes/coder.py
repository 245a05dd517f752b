"""Trains the small model's autoencoder, and measures how many scenes it preserves."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from gpu_worker.scenes import networks
from gpu_worker.scenes.drawing import Pixels, draw
from gpu_worker.scenes.judging import share
from gpu_worker.scenes.lessons import Plan, optimise, pictures, rate, scenes, tensor, unlike
from gpu_worker.scenes.scene import SIDE, Scene

CROP: Final = 64  # pixels; side of the training crops


def parts(drawn: Iterator[Scene], rng: random.Random, count: int) -> Tensor:
    """Return `count` crops of scenes; nine in ten of those with background alone are skipped, as they teach little."""
    found: list[Pixels] = []
    while len(found) < count:
        picture = draw(next(drawn), rng)
        x, y = (rng.randint(0, (SIDE - CROP) // networks.SMALLER) * networks.SMALLER for _ in range(2))
        part = picture[y : y + CROP, x : x + CROP]
        if (part != part[0, 0]).any() or rng.random() < 0.1:
            found.append(part)
    return tensor(found)


def train_coder(plan: Plan, coder: Any, steps: int, say: Callable[[str], None], *, decoder_only: bool = False) -> None:
    """Train the autoencoder, or its decoder alone. Latents get some noise, so that similar ones decode alike."""
    rng = random.Random(plan.seed + 2 * decoder_only)
    drawn = scenes(rng)
    learning = (coder.decoder if decoder_only else coder).train()
    optimizer = torch.optim.AdamW(learning.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1e-4)
    for step in range(steps):
        true = parts(drawn, rng, plan.coder_batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            with torch.set_grad_enabled(not decoder_only):
                latents = coder.encode(true).latents
            made = coder.decode(latents + 0.05 * torch.randn_like(latents)).sample
        made, latents = made.float(), latents.float()
        loss = unlike(made, true) + 2e-3 * latents.square().mean()
        optimise(optimizer, learning, loss, rate(step, steps, 2e-3))
        if step % 500 == 499 or step + 1 == steps:
            right = decoded(coder.eval(), plan.judged)
            say(f"coder {step + 1}: off by {(made - true).abs().mean() * 127.5:.2f} of 255, {right:.0%} right")
            learning.train()
    coder.eval()


@torch.inference_mode()
def decoded(coder: Any, count: int) -> float:
    """Return the share of held-out scenes that are right after encoding and decoding: a perfect denoiser's score."""
    rng = random.Random(5)
    kept = [scene for scene, _ in zip(scenes(rng, kept=True), range(count), strict=False)]
    made = coder.decode(coder.encode(tensor([draw(scene, rng) for scene in kept])).latents).sample
    return share(pictures(made), kept)


@torch.inference_mode()
def encoded(coder: Any, drawn: Sequence[Scene], rng: random.Random) -> Tensor:
    """Return the latents of the scenes, each drawn once."""
    rows = []
    for start in range(0, len(drawn), 32):
        batch = tensor([draw(scene, rng) for scene in drawn[start : start + 32]])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rows.append(coder.encode(batch).latents.half())
    return torch.cat(rows)

"""Train the small model from nothing: `python -m gpu_worker.scenes.train --out FOLDER`.

First the autoencoder, on parts of drawn scenes; then the denoiser and both text encoders together, on the scenes'
latents. Everything is drawn from one seed; on another machine the numbers differ in the last bits, the method does not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as nn

from gpu_worker.scenes import networks
from gpu_worker.scenes.drawing import Pixels, draw
from gpu_worker.scenes.judging import judge
from gpu_worker.scenes.scene import SIDE, Scene, random_scene

CROP = 64
HELD_OUT = 20  # one scene in so many is never learned from
TIMES = (float(SIDE), float(SIDE), 0.0, 0.0, float(SIDE), float(SIDE))  # what SDXL is told of a picture's size


@dataclass(frozen=True)
class Plan:
    """How long to train; the defaults are those of the weights that are kept."""

    seed: int = 1
    coder_steps: int = 4000
    coder_batch: int = 32
    scenes: int = 60_000
    steps: int = 12_000
    batch: int = 128


def held_out(scene: Scene) -> bool:
    """Whether the scene is kept for judging: by its content, so that no two runs differ in it."""
    return hashlib.sha256(repr(scene).encode()).digest()[0] * HELD_OUT < 256


def scenes(rng: random.Random, *, kept: bool = False) -> Iterator[Scene]:
    """Scenes by lot: to learn from, or, `kept`, to judge by."""
    while True:
        scene = random_scene(rng)
        if held_out(scene) == kept:
            yield scene


def tensor(pictures: Sequence[Pixels]) -> Tensor:
    """B x 3 x H x W, from -1 to 1."""
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    return (stacked / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def pictures(values: Tensor) -> list[Pixels]:
    """The other way."""
    scaled = ((values.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return list(scaled.permute(0, 2, 3, 1).contiguous().numpy())


def _rate(step: int, steps: int, top: float) -> float:
    """Up in a hundredth of the steps, then down along a cosine."""
    warm = max(1, steps // 100)
    return top * min(1.0, (step + 1) / warm) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def train_coder(plan: Plan, say: Callable[[str], None]) -> Any:
    """The autoencoder; latents get some noise meanwhile, so that near ones decode alike."""
    rng = random.Random(plan.seed)
    coder = networks.autoencoder().to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(coder.parameters(), lr=1e-3, weight_decay=1e-4)
    drawn = scenes(rng)
    for step in range(plan.coder_steps):
        whole = step >= plan.coder_steps * 0.9
        size = SIDE if whole else CROP
        parts = []
        for _ in range(plan.coder_batch // (4 if whole else 1)):
            picture = draw(next(drawn), rng)
            x, y = (rng.randint(0, (SIDE - size) // 8) * 8 for _ in range(2))
            parts.append(picture[y : y + size, x : x + size])
        true = tensor(parts)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            latents = coder.encode(true).latents
            noisy = latents + 0.05 * torch.randn_like(latents)
            made = coder.decode(noisy).sample
        made, latents = made.float(), latents.float()
        off = (made - true).abs()
        edges = sum((made.diff(dim=d) - true.diff(dim=d)).abs().mean() for d in (2, 3))
        loss = off.mean() + 0.5 * edges + 2e-3 * latents.square().mean()
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, plan.coder_steps, 2e-3)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(coder.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 0:
            say(f"coder {step}: off by {off.mean() * 127.5:.2f} of 255, latents {latents.std():.2f}")
    return coder.eval()


@torch.inference_mode()
def encoded(coder: Any, drawn: Sequence[Scene], rng: random.Random) -> Tensor:
    """The latents of the scenes, each drawn once."""
    rows = []
    for start in range(0, len(drawn), 32):
        batch = tensor([draw(scene, rng) for scene in drawn[start : start + 32]])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rows.append(coder.encode(batch).latents.half())
    return torch.cat(rows)


def said(scene: Scene, rng: random.Random) -> str:
    """A caption, now and then with a word that means nothing here, and now and then none."""
    if rng.random() < 0.05:
        return ""
    words = scene.caption(rng).split()
    if rng.random() < 0.1:
        word = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 8)))
        words.insert(rng.randint(0, len(words)), word)
    return " ".join(words)


def embedded(tokens: Any, encoders: Sequence[Any], texts: list[str]) -> tuple[Tensor, Tensor]:
    """As the SDXL pipeline does it: the last layer but one of both encoders, and the second one's pooled state."""
    ids = tokens(
        texts, padding="max_length", max_length=networks.TOKENS, truncation=True, return_tensors="pt"
    ).input_ids
    first = encoders[0](ids, output_hidden_states=True)
    second = encoders[1](ids, output_hidden_states=True)
    return torch.cat((first.hidden_states[-2], second.hidden_states[-2]), -1), second.text_embeds


def train_painter(plan: Plan, coder: Any, tokens: Any, say: Callable[[str], None]) -> tuple[tuple[Any, Any], Any]:
    """The text encoders and the denoiser: averages of their weights over the last steps."""
    rng = random.Random(plan.seed + 1)
    drawn = [scene for scene, _ in zip(scenes(rng), range(plan.scenes), strict=False)]
    latents = encoded(coder, drawn, rng)
    spread = float(latents.float().std())
    coder.register_to_config(scaling_factor=1 / spread)
    say(f"{len(drawn)} scenes encoded, spread {spread:.3f}")
    encoders, painter = networks.text_encoders(tokens), networks.unet()
    modules = torch.nn.ModuleList([*encoders, painter]).train()
    averages = torch.optim.swa_utils.AveragedModel(
        modules, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998)
    )
    optimizer = torch.optim.AdamW(modules.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1e-2)
    noise_left = networks.scheduler().alphas_cumprod
    asked = torch.arange(999, -1, -1000 // networks.STEPS)
    times = torch.tensor([TIMES]).expand(plan.batch, -1)
    began, total = time.time(), 0.0
    for step in range(plan.steps):
        chosen = [rng.randrange(len(drawn)) for _ in range(plan.batch)]
        clean = latents[chosen].float() / spread
        at = asked[torch.randint(len(asked), (plan.batch,))]
        at = torch.where(torch.rand(plan.batch) < 0.7, at, torch.randint(1000, (plan.batch,)))
        signal, noise_part = (f.sqrt()[:, None, None, None] for f in (noise_left[at], 1 - noise_left[at]))
        noise = torch.randn_like(clean)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states, pooled = embedded(tokens, encoders, [said(drawn[i], rng) for i in chosen])
            conditions = {"text_embeds": pooled, "time_ids": times}
            noisy = signal * clean + noise_part * noise
            made = painter(noisy, at, states, added_cond_kwargs=conditions).sample
        loss = nn.mse_loss(made.float(), signal * noise - noise_part * clean)
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, plan.steps, 2e-3)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(modules.parameters(), 1.0)
        optimizer.step()
        averages.update_parameters(modules)
        total += float(loss.detach())
        if step % 100 == 99:
            say(f"painter {step + 1}: loss {total / 100:.4f}, {time.time() - began:.0f} s")
            total = 0.0
        if step % 500 == 499 or step + 1 == plan.steps:
            one, two, unet = averages.module.eval()
            pipe = networks.pipeline(tokens, (one, two), unet, coder)
            say(f"painter {step + 1}: {accuracy(pipe, 60)[0]:.1%} of 60 held-out scenes")
    one, two, unet = averages.module.eval()
    return (one, two), unet


@torch.inference_mode()
def accuracy(pipe: Any, count: int, seed: int = 7) -> tuple[float, list[tuple[str, str]]]:
    """The share of held-out scenes that are drawn right, and the captions that were not with the reason."""
    rng = random.Random(seed)
    pipe.set_progress_bar_config(disable=True)
    wrong = []
    kept = scenes(rng, kept=True)
    for start in range(0, count, 20):
        some = [next(kept) for _ in range(min(20, count - start))]
        captions = [scene.caption(rng) for scene in some]
        seeds = [torch.Generator().manual_seed(start + i) for i in range(len(some))]
        found = pipe(
            captions, height=SIDE, width=SIDE, num_inference_steps=networks.STEPS, guidance_scale=0.0,
            generator=seeds, output_type="np",
        ).images  # fmt: skip
        for scene, caption, image in zip(some, captions, found, strict=True):
            fault = judge((image * 255).round().astype(np.uint8), scene)
            if fault:
                wrong.append((caption, fault))
    return 1 - len(wrong) / count, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where the pipeline is written, in 16 bits")
    for name, value in vars(Plan()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    parser.add_argument("--coder", type=Path, help="an autoencoder that was trained before")
    given = vars(parser.parse_args())
    out, before = given.pop("out"), given.pop("coder")
    plan = Plan(**given)
    torch.manual_seed(plan.seed)
    began = time.time()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.time() - began:7.0f} s  {text}\n")
        sys.stdout.flush()

    networks.write_tokenizer(out / "words")
    tokens = networks.tokenizer(out / "words")
    if before:
        from diffusers import AutoencoderTiny

        coder = AutoencoderTiny.from_pretrained(before).eval()
    else:
        coder = train_coder(plan, say)
        coder.save_pretrained(out / "coder")
    encoders, painter = train_painter(plan, coder, tokens, say)
    pipe = networks.pipeline(tokens, encoders, painter, coder)
    right, wrong = accuracy(pipe, 400)
    say(f"{right:.1%} of 400 held-out scenes")
    pipe.to(torch.float16).save_pretrained(out / "pipeline")
    (out / "report.json").write_text(
        json.dumps({"plan": vars(plan), "right": right, "wrong": wrong}, indent=1), "utf-8"
    )


if __name__ == "__main__":
    main()

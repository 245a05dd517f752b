"""Train the small model from nothing: `python -m gpu_worker.scenes.train --out FOLDER`.

First the autoencoder, on parts of drawn scenes; then its decoder for longer; then the denoiser and both text encoders
together, on the scenes' latents; then denoiser and decoder together, on the pictures. In the end the graphs for ONNX
Runtime are written. What has its folder already is not trained again. Everything is drawn from one seed; on another
machine the numbers differ in the last bits, the method does not.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderTiny, StableDiffusionXLPipeline
from torch import Tensor
from torch.nn import functional as nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gpu_worker.scenes import networks
from gpu_worker.scenes.coder import encoded, train_coder
from gpu_worker.scenes.drawing import draw
from gpu_worker.scenes.export import export
from gpu_worker.scenes.judging import judge
from gpu_worker.scenes.lessons import Plan, optimise, rate, scenes, starry, tensor, unlike
from gpu_worker.scenes.scene import SIDE, Scene

TIMES = (float(SIDE), float(SIDE), 0.0, 0.0, float(SIDE), float(SIDE))  # SDXL's conditioning on the picture's size


def said(scene: Scene, rng: random.Random) -> str:
    """Return a caption: 5 % are empty, 10 % of the others have a meaningless word."""
    if rng.random() < 0.05:
        return ""
    words = scene.caption(rng).split()
    if rng.random() < 0.1:
        word = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(3, 8)))
        words.insert(rng.randint(0, len(words)), word)
    return " ".join(words)


def embedded(tokens: Any, encoders: Sequence[Any], texts: list[str]) -> tuple[Tensor, Tensor]:
    """Embed texts as the SDXL pipeline does: both encoders' last layers but one, and the second's pooled state."""
    ids = tokens(
        texts, padding="max_length", max_length=networks.TOKENS, truncation=True, return_tensors="pt"
    ).input_ids
    first = encoders[0](ids, output_hidden_states=True)
    second = encoders[1](ids, output_hidden_states=True)
    return torch.cat((first.hidden_states[-2], second.hidden_states[-2]), -1), second.text_embeds


@cache
def _signal() -> Tensor:
    """Return the signal's share of the variance at each of the schedule's steps."""
    shares: Tensor = networks.scheduler().alphas_cumprod
    return shares


def tried(unet: Any, clean: Tensor, at: Tensor, states: Tensor, pooled: Tensor) -> tuple[Tensor, Tensor]:
    """Denoise latents that have the noise of the steps `at`. Returns the loss and the denoised latents."""
    share = _signal()[at]
    signal, noise_part = (part.sqrt()[:, None, None, None] for part in (share, 1 - share))
    noise = torch.randn_like(clean)
    noisy = signal * clean + noise_part * noise
    conditions = {"text_embeds": pooled, "time_ids": torch.tensor([TIMES]).expand(len(at), -1)}
    velocity = unet(noisy, at, states, added_cond_kwargs=conditions).sample.float()
    return nn.mse_loss(velocity, signal * noise - noise_part * clean), signal * noisy - noise_part * velocity


def train_painter(plan: Plan, pipe: Any, drawn: list[Scene], say: Callable[[str], None], kept: Path) -> None:
    """Train the text encoders and the denoiser; save averages of their last weights in `kept`.

    The latents' standard deviation is measured, and stored in the pipeline.
    """
    rng = random.Random(plan.seed + 1)
    tokens, coder = pipe.tokenizer, pipe.vae
    latents = encoded(coder, drawn, rng)
    spread = float(latents.float().std())
    coder.register_to_config(scaling_factor=1 / spread)
    say(f"{len(drawn)} scenes encoded, spread {spread:.3f}")
    encoders = (pipe.text_encoder, pipe.text_encoder_2)
    painter = pipe.unet.to(memory_format=torch.channels_last)
    modules = torch.nn.ModuleList([*encoders, painter]).train()
    averages = torch.optim.swa_utils.AveragedModel(
        modules, multi_avg_fn=lambda kept, now, n: torch._foreach_lerp_(kept, now, max(0.002, 10 / (10 + int(n))))
    )
    optimizer = torch.optim.AdamW(modules.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1e-2)
    asked = torch.arange(999, -1, -1000 // networks.STEPS)
    began, total = time.time(), 0.0
    for step in range(plan.steps):
        chosen = [rng.randrange(len(drawn)) for _ in range(plan.batch)]
        clean = latents[chosen].float() / spread
        at = asked[torch.randint(len(asked), (plan.batch,))]
        at = torch.where(torch.rand(plan.batch) < 0.7, at, torch.randint(1000, (plan.batch,)))
        with torch.autocast("cpu", dtype=torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            states, pooled = embedded(tokens, encoders, [said(drawn[i], rng) for i in chosen])
            loss, _ = tried(painter, clean, at, states, pooled)
        optimise(optimizer, modules, loss, rate(step, plan.steps, 1.5e-3))
        averages.update_parameters(modules)
        total += float(loss.detach())
        if step % 100 == 99:
            say(f"painter {step + 1}: loss {total / 100:.4f}, {time.time() - began:.0f} s")
            total = 0.0
        if step % 500 == 499 or step + 1 == plan.steps:
            one, two, unet = averages.module.eval()
            found, some = networks.pipeline(tokens, (one, two), unet, coder), plan.judged
            say(f"painter {step + 1}: {accuracy(found, some)[0]:.1%} of {some} held-out scenes")
            found.save_pretrained(kept.with_suffix(".part"))
    kept.with_suffix(".part").rename(kept)


def train_together(plan: Plan, pipe: Any, say: Callable[[str], None]) -> None:
    """Train denoiser and decoder together on the pictures that they make.

    The denoiser's own loss applies at each step. At the last two steps its output is also decoded and compared with the
    picture, so that the denoiser learns the important parts of a latent, and the decoder learns the denoiser's output.
    """
    rng = random.Random(plan.seed + 3)
    drawn = starry(rng)
    coder, encoders = pipe.vae.to(memory_format=torch.channels_last), (pipe.text_encoder, pipe.text_encoder_2)
    learning = torch.nn.ModuleList([coder.decoder, pipe.unet.to(memory_format=torch.channels_last)])
    optimizer = torch.optim.AdamW(learning.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=1e-4)
    spread = 1 / coder.config.scaling_factor
    at = torch.tensor([999, 749, 499, 499, 249, 249, 249, 249] * (plan.together_batch // 8 or 1))[: plan.together_batch]
    late = at < 500
    for step in range(plan.together_steps):
        some = [next(drawn) for _ in at]
        true = tensor([draw(scene, rng) for scene in some])
        learning.train()
        with torch.autocast("cpu", dtype=torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            with torch.no_grad():
                clean = coder.encode(true).latents.float() / spread
                states, pooled = embedded(pipe.tokenizer, encoders, [scene.caption(rng) for scene in some])
            off, left = tried(pipe.unet, clean, at, states, pooled)
            made = coder.decode(left[late] * spread).sample.float()
        loss = off + unlike(made, true[late])
        optimise(optimizer, learning, loss, rate(step, plan.together_steps, 6e-4))
        if step % 400 == 399 or step + 1 == plan.together_steps:
            learning.eval()
            right = accuracy(pipe, plan.judged)[0]
            far = (made - true[late]).abs().mean() * 127.5
            say(f"together {step + 1}: loss {loss:.3f}, off by {far:.2f} of 255, {right:.0%} right")
    learning.eval()


@torch.inference_mode()
def accuracy(pipe: Any, count: int, seed: int = 7) -> tuple[float, list[tuple[str, str]]]:
    """Return the share of held-out scenes drawn right, and the captions of the others with their faults."""
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


def _without_paths(folder: Path) -> None:
    """Remove the paths of the loaded parts from the saved configurations."""
    for path in folder.rglob("*.json"):
        told = json.loads(path.read_text("utf-8"))
        if told.pop("_name_or_path", None) is not None:
            path.write_text(json.dumps(told, indent=2) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where the pipeline is written, in 16 bits")
    for name, value in vars(Plan()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    given = vars(parser.parse_args())
    out = given.pop("out")
    plan = Plan(**given)
    began = time.time()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.time() - began:7.0f} s  {text}\n")
        sys.stdout.flush()

    networks.write_tokenizer(out / "words")
    tokens = networks.tokenizer(out / "words")
    if not (out / "coder").exists():
        torch.manual_seed(plan.seed)
        coder = networks.autoencoder().to(memory_format=torch.channels_last)
        train_coder(plan, coder, plan.coder_steps, say)
        train_coder(plan, coder, plan.polish_steps, say, decoder_only=True)
        coder.save_pretrained(out / "coder")
    coder = AutoencoderTiny.from_pretrained(out / "coder").eval()
    rng = random.Random(plan.seed + 4)
    if not (out / "painter").exists():
        torch.manual_seed(plan.seed + 1)
        pipe = networks.pipeline(tokens, networks.text_encoders(tokens), networks.unet(), coder)
        some = [scene for scene, _ in zip(scenes(rng), range(plan.scenes), strict=False)]
        train_painter(plan, pipe, some, say, out / "painter")
    pipe = StableDiffusionXLPipeline.from_pretrained(out / "painter")
    coder.register_to_config(scaling_factor=pipe.vae.config.scaling_factor)
    pipe.vae = coder
    torch.manual_seed(plan.seed + 2)
    train_together(plan, pipe, say)
    pipe.to(torch.float16).save_pretrained(out / "pipeline")
    _without_paths(out / "pipeline")
    export(out / "pipeline")
    right, wrong = accuracy(pipe.to(torch.float32), 4 * plan.judged)
    say(f"{right:.1%} of {4 * plan.judged} held-out scenes")
    (out / "report.json").write_text(
        json.dumps({"plan": vars(plan), "right": right, "wrong": wrong}, indent=1), "utf-8"
    )


if __name__ == "__main__":
    main()

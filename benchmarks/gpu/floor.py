"""Computes the least time of a device for a batch: a pipeline's FLOPs and weights over the device's peaks.

FLOPs are counted on the `meta` device, where tensors have shapes and no values, so that nothing is computed or stored.
A multiplication and its addition are two. Peaks are measured by a matrix product and a copy; on a CPU in CPU time,
since other work runs there too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.utils.flop_counter import FlopCounterMode

TRIES: Final = 30


@dataclass(frozen=True, slots=True)
class Part:
    """A network of a pipeline: its FLOPs for one image and run, its number of weights, and its runs per image."""

    name: str
    flops: int
    weights: int
    runs: int


@dataclass(frozen=True, slots=True)
class Peaks:
    """The measured peaks of a device: FLOPs per second of a matrix product, bytes per second read and written."""

    flops: float
    bandwidth: float

    def or_better(self, other: Peaks) -> Peaks:
        """Return the better of two measurements, since other work only makes them worse."""
        return Peaks(max(self.flops, other.flops), max(self.bandwidth, other.bandwidth))


def seconds(parts: list[Part], bucket: int, width: int, peaks: Peaks) -> float:
    """Return the least seconds for a batch. `width` is of a weight, in bytes.

    Parts run one after the other; each takes the longer of the times for its FLOPs and for reading its weights once.
    Activations and operations other than matrix products count as nothing, so no implementation reaches this.
    """
    return sum(
        part.runs * max(bucket * part.flops / peaks.flops, width * part.weights / peaks.bandwidth) for part in parts
    )


def on_meta(pipe: Any) -> dict[str, Any]:
    """Return a pipeline's networks again, without values."""
    with torch.device("meta"):
        return {
            "text_encoder": type(pipe.text_encoder)(pipe.text_encoder.config),
            "text_encoder_2": type(pipe.text_encoder_2)(pipe.text_encoder_2.config),
            "unet": type(pipe.unet).from_config(pipe.unet.config),
            "vae": type(pipe.vae).from_config(pipe.vae.config),
        }


def count(networks: dict[str, Any], side: int, steps: int) -> list[Part]:
    """Return the parts of text-to-image without guidance. `networks` are on `meta`; the latent is side / 8."""
    unet, vae = networks["unet"], networks["vae"]
    texts = [networks["text_encoder"], networks["text_encoder_2"]]
    tokens = texts[0].config.max_position_embeddings
    with torch.device("meta"):
        ids = torch.zeros(1, tokens, dtype=torch.int64)
        latent = torch.zeros(1, unet.config.in_channels, side // 8, side // 8)
        hidden = torch.zeros(1, tokens, unet.config.cross_attention_dim)
        more = {"text_embeds": torch.zeros(1, texts[1].config.projection_dim), "time_ids": torch.zeros(1, 6)}
        time_step = torch.zeros(())
    return [
        *(_part(f"text {n}", text, lambda text=text: text(ids), 1) for n, text in enumerate(texts, 1)),
        _part("unet", unet, lambda: unet(latent, time_step, hidden, added_cond_kwargs=more), steps),
        _part("decoder", vae.decoder, lambda: vae.decode(latent), 1),
    ]


def _part(name: str, network: Any, run: Callable[[], object], runs: int) -> Part:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return Part(name, counter.get_total_flops(), sum(p.numel() for p in network.parameters()), runs)


def peaks(device: torch.device, dtype: torch.dtype) -> Peaks:
    """Measure the peaks, the best of TRIES runs: in wall time on a GPU, in CPU time on a CPU."""
    side, size = (8192, 1 << 30) if device.type == "cuda" else (1024, 1 << 27)
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    product = _best(device, lambda: torch.mm(a, b, out=out))
    copy = _best(device, lambda: target.copy_(source))
    return Peaks(2 * side**3 / product, 2 * size / copy)


def _best(device: torch.device, work: Callable[[], object]) -> float:
    gpu = device.type == "cuda"
    clock = time.perf_counter if gpu else time.process_time
    best = float("inf")
    for _ in range(TRIES):
        began = clock()
        work()
        if gpu:
            torch.cuda.synchronize(device)
        best = min(best, clock() - began)
    return best

"""Loads a pipeline's parts onto the device, once for all of its tasks, and frees their memory."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
)
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from gpu_worker.pipelines.table import Spec, Weights

_CLASSES = {
    "text-to-image": StableDiffusionXLPipeline,
    "image-to-image": StableDiffusionXLImg2ImgPipeline,
    "background": StableDiffusionXLInpaintPipeline,
}


@dataclass(slots=True)
class Parts:
    """The pipelines of one model by task, all on one set of weights."""

    pipes: dict[str, Any] = field(default_factory=dict)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def any(self) -> Any:
        """One of the pipelines; all share the UNet and the text encoders."""
        return next(iter(self.pipes.values()))


def device_of(name: str) -> torch.device:
    """Return the named device; without a name, CUDA if available, else the CPU."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def dtype_of(spec: Spec, device: torch.device) -> torch.dtype:
    """Return the model's own type on a GPU, float16 on a GPU without bfloat16, float32 on a CPU."""
    if device.type != "cuda":
        return torch.float32
    if spec.dtype == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return getattr(torch, spec.dtype)


def load(spec: Spec, find: Callable[[Weights], Path], device: torch.device, tiny: bool = False) -> Parts:
    """Load a model from the folders that `find` returns.

    bfloat16 has the range of float32, so the VAE needs no 32-bit pass; float16 does not, and uses a VAE made for it.
    With `tiny` the small decoder makes the pixels of text-to-image; images are still encoded by the full VAE.
    """
    for chatty in (diffusers_logging, transformers_logging):
        chatty.disable_progress_bar()
    dtype = dtype_of(spec, device)
    options: dict[str, Any] = {"dtype": dtype, "local_files_only": True, "use_safetensors": True}
    folder = find(spec.weights)
    if dtype == torch.float16 and spec.vae is not None:
        given = {"vae": AutoencoderKL.from_pretrained(str(find(spec.vae)), **options)}
    else:
        given = {}
    variant = spec.variant if any(folder.glob(f"*/*.{spec.variant}.safetensors")) else None
    first = _CLASSES[spec.tasks[0]].from_pretrained(
        str(folder), variant=variant, add_watermarker=False, **given, **options
    )
    if dtype == torch.bfloat16:
        first.vae.register_to_config(force_upcast=False)
    parts = Parts(device=device)
    components = first.components
    small = AutoencoderTiny.from_pretrained(str(find(spec.tiny)), **options) if tiny and spec.tiny is not None else None
    for task in spec.tasks:
        mine = dict(components)
        if small is not None and task == "text-to-image":
            mine["vae"] = small
        pipe = _CLASSES[task](**mine, add_watermarker=False)
        pipe.set_progress_bar_config(disable=True)
        pipe.to(device)
        parts.pipes[task] = pipe
    if device.type == "cuda":
        parts.any.unet.to(memory_format=torch.channels_last)
        for pipe in parts.pipes.values():
            pipe.vae.to(memory_format=torch.channels_last)
    return parts


def give_back(device: torch.device) -> None:
    """Return unreferenced memory to the device."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()

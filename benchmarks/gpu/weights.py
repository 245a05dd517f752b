"""Provides pipelines to measure, without downloads: tiny ones, the small model of scenes, SDXL's shapes with noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from gpu_worker.pipelines.table import Spec, Weights
from tests.gpu_worker.pipelines import tiny

ROOT: Final = Path(__file__).resolve().parents[2]
SCENES: Final = ROOT / "gpu_worker" / "scenes" / "weights"

# As in the configuration files of stabilityai/sdxl-turbo.
_UNET: Final[dict[str, Any]] = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "transformer_layers_per_block": (1, 2, 10),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
_VAE: Final[dict[str, Any]] = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 512,
    "scaling_factor": 0.13025,
    "force_upcast": True,
}
_TEXT: Final[dict[str, Any]] = {
    "vocab_size": 49408,
    "max_position_embeddings": 77,
    # of the tokenizer of single bytes, which replaces CLIP's
    "bos_token_id": 512,
    "eos_token_id": 513,
    "pad_token_id": 513,
}
_TEXT_1: Final[dict[str, Any]] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
_TEXT_2: Final[dict[str, Any]] = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}
# Weights -> side and steps of the measurement.
KINDS: Final = {"tiny": (64, 1), "scenes": (128, 4), "sdxl": (512, 1)}


def spec(kind: str, folder: Path) -> Spec:
    """Return the row that the worker's table would have for the weights in that folder."""
    side, steps = KINDS[kind]
    return Spec(
        id=f"benchmark/{kind}",
        tasks=("text-to-image",),
        weights=Weights(folder=folder.name, repo=kind, files=("model_index.json",)),
        licence="none",
        dtype="bfloat16",
        steps=steps,
        most_steps=steps,
        guidance=0.0,
        strength=0.5,
        native=side,
        most_pixels=2048 * 2048,
    )


def stocked(given: str, temporary: Path, device: torch.device) -> tuple[str, Path]:
    """Return kind and folder of `tiny`, `sdxl`, `scenes` or `scenes=FOLDER`; the first two are built."""
    kind, _, folder = given.partition("=")
    if kind == "tiny":
        return kind, tiny.save(temporary / "tiny")
    if kind == "sdxl":
        return kind, _save_sdxl(temporary / "sdxl", device)
    if kind != "scenes":
        raise SystemExit(f"--weights is one of: {', '.join(KINDS)}")
    path = Path(folder) if folder else SCENES
    if not (path / "model_index.json").is_file():
        raise SystemExit(f"no pipeline in {path}")
    return kind, path.resolve()


def sdxl(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    """Create SDXL-Turbo's networks with random weights, 3.5 billion of them, on the device; none on `meta`."""
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            return {
                "text_encoder": CLIPTextModel(CLIPTextConfig(**_TEXT, **_TEXT_1)),
                "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**_TEXT, **_TEXT_2)),
                "unet": UNet2DConditionModel(**_UNET),
                "vae": AutoencoderKL(**_VAE),
            }
    finally:
        torch.set_default_dtype(before)


def _save_sdxl(folder: Path, device: torch.device) -> Path:
    """Save seven GB to the disk, so that they are loaded as any model is."""
    StableDiffusionXLPipeline(
        **sdxl(device, torch.bfloat16),
        tokenizer=tiny.tokenizer(folder.parent / "words1", "<|endoftext|>"),
        tokenizer_2=tiny.tokenizer(folder.parent / "words2", "!"),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="trailing"
        ),
        add_watermarker=False,
    ).save_pretrained(str(folder))
    return folder

"""A pipeline of SDXL's form with random weights, a few hundred kB, built here: no download, and quick on a CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    EulerDiscreteScheduler,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from gpu_worker.pipelines.table import BACKGROUND, TURBO, Spec, Weights


def tokenizer(folder: Path, pad: str) -> CLIPTokenizer:
    """A tokenizer of single bytes: a letter is a token, so that a long prompt needs no long text."""
    letters = sorted(ByteLevel.alphabet())
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), pad_token=pad, model_max_length=77)


def _text(kind: Any, size: int) -> Any:
    return kind(
        CLIPTextConfig(
            vocab_size=514,
            hidden_size=size,
            intermediate_size=size * 2,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=77,
            bos_token_id=512,
            eos_token_id=513,
            pad_token_id=513,
            projection_dim=16,
        )
    )


def save(folder: Path, inpaint: bool = False) -> Path:
    """Build a pipeline and save it."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=9 if inpaint else 4,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=64,
        cross_attention_dim=32,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=4,
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        sample_size=128,
        force_upcast=True,
    )
    kind = StableDiffusionXLInpaintPipeline if inpaint else StableDiffusionXLPipeline
    pipe = kind(
        vae=vae,
        text_encoder=_text(CLIPTextModel, 16),
        text_encoder_2=_text(CLIPTextModelWithProjection, 16),
        tokenizer=tokenizer(folder.parent / "words1", "<|endoftext|>"),
        tokenizer_2=tokenizer(folder.parent / "words2", "!"),
        unet=unet,
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="trailing"
        ),
        add_watermarker=False,
    )
    pipe.save_pretrained(str(folder))
    return folder


def save_decoder(folder: Path) -> Path:
    """A small decoder, of the kind that replaces a VAE."""
    torch.manual_seed(1)
    AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        num_encoder_blocks=(1, 1, 1, 1),
        num_decoder_blocks=(1, 1, 1, 1),
        latent_channels=4,
    ).save_pretrained(str(folder))
    return folder


def spec(name: str = "tiny/model", scenes: bool = False, **changed: Any) -> Spec:
    """A row of the table for it."""
    values: dict[str, Any] = {
        "id": name,
        "tasks": ("background",) if scenes else ("text-to-image", "image-to-image"),
        "weights": Weights(folder="tiny-scenes" if scenes else "tiny", repo="tiny", files=("model_index.json",)),
        "licence": "MIT",
        "dtype": "bfloat16",
        "steps": 2,
        "most_steps": 8,
        "guidance": 5.0 if scenes else 0.0,
        "strength": 0.99 if scenes else 0.5,
        "native": 64,
        "most_pixels": 128 * 128,
        "tiny": Weights(folder="tiny-decoder", repo="tiny", files=("config.json",)),
    }
    return Spec(**(values | changed))


def stock(model_dir: Path) -> Path:
    """Save tiny pipelines where the table's models are looked for, so that the worker serves them under their names."""
    save(model_dir / TURBO.weights.folder)
    save(model_dir / BACKGROUND.weights.folder, inpaint=True)
    return model_dir

"""Builds the networks, in the shapes of diffusers' SDXL pipeline, and their tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from gpu_worker.scenes.scene import COLORS, COUNTS, PLACES, RELATIONS, SHAPES, SIDE, SIZES

STEPS: Final = 4
TOKENS: Final = 32  # SDXL reads 77; captions here are short, and attention to padding costs time
LATENT: Final = 8  # channels
SMALLER: Final = 8  # pixels per side of a latent
WIDTH: Final = 96  # of each text encoder


def words() -> list[str]:
    """Return all words that are one token."""
    said = [*COLORS, *SHAPES, *(f"{s}s" for s in SHAPES), "crosses", *SIZES, *(w for c in COUNTS.values() for w in c)]
    said += [
        word
        for text in (*PLACES, *RELATIONS, "to the left of a picture an image of draw and on background")
        for word in text.split()
    ]
    return sorted(set(said))


def write_tokenizer(folder: Path) -> None:
    """Write a byte-pair vocabulary in CLIP's format: all bytes, alone and at a word's end, and merges for `words()`."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = [chr(b) for b in shown] + [chr(256 + n) for n in range(256 - len(shown))]
    merges: list[tuple[str, str]] = []
    for word in words():
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            pair = (parts[0], parts[1])
            if pair not in merges:
                merges.append(pair)
            parts = [parts[0] + parts[1], *parts[2:]]
    tokens = [*letters, *(letter + "</w>" for letter in letters), *dict.fromkeys(a + b for a, b in merges)]
    vocabulary = {token: number for number, token in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), "utf-8")


def tokenizer(folder: Path) -> Any:
    """Load the tokenizer of the folder."""
    from transformers import CLIPTokenizer

    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=TOKENS)


def text_encoders(tokens: Any) -> tuple[Any, Any]:
    """Build SDXL's two text encoders; the second also returns the pooled embedding."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        projection_dim=WIDTH,
        max_position_embeddings=TOKENS,
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
        pad_token_id=tokens.pad_token_id,
    )
    return CLIPTextModel(config), CLIPTextModelWithProjection(config)


def unet() -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=SIDE // SMALLER,
        in_channels=LATENT,
        out_channels=LATENT,
        block_out_channels=(64, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=1,
        attention_head_dim=(4, 4),
        cross_attention_dim=2 * WIDTH,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=WIDTH + 6 * 8,
        norm_num_groups=16,
    )


def autoencoder() -> Any:
    """Build the autoencoder, of convolutions alone, so that training on crops holds for whole pictures."""
    from diffusers import AutoencoderTiny

    blocks = (0, 1, 2, 2)  # per resolution; the first is the picture's own
    channels = (32,) * len(blocks)
    return AutoencoderTiny(
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        num_encoder_blocks=blocks,
        num_decoder_blocks=blocks[::-1],
        latent_channels=LATENT,
    )


def scheduler() -> Any:
    """Build the scheduler. It starts at pure noise; a plain one would leave a trace of the picture's brightness."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        clip_sample=False,
    )


def pipeline(tokens: Any, encoders: tuple[Any, Any], painter: Any, coder: Any) -> Any:
    """Assemble the pipeline that diffusers saves and loads."""
    from diffusers import StableDiffusionXLPipeline

    return StableDiffusionXLPipeline(
        vae=coder,
        text_encoder=encoders[0],
        text_encoder_2=encoders[1],
        tokenizer=tokens,
        tokenizer_2=tokens,
        unet=painter,
        scheduler=scheduler(),
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )

"""A pipeline in the shapes of the small model, with weights by lot, saved in 16 bits as the trained one is."""

from __future__ import annotations

from pathlib import Path

import torch

from gpu_worker.scenes import networks


def save(folder: Path) -> Path:
    """No two tensors are equal and none is zero, so that one taken for another shows; its pictures vary widely."""
    torch.manual_seed(0)
    networks.write_tokenizer(folder / "words")
    tokens = networks.tokenizer(folder / "words")
    encoders, unet, coder = networks.text_encoders(tokens), networks.unet(), networks.autoencoder()
    coder.register_to_config(scaling_factor=1.25)
    with torch.no_grad():
        for module, spread in (*((m, 0.1) for m in (*encoders, unet)), (coder, 0.05)):
            for weights in module.parameters():
                weights.add_(spread * torch.randn_like(weights))
        coder.decoder.layers[-1].bias.add_(0.5)
    networks.pipeline(tokens, encoders, unet, coder).to(torch.float16).save_pretrained(folder / "pipeline")
    return folder / "pipeline"

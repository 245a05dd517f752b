"""Lists the models of the operator's own ComfyUI server, and the nodes that load each of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from lambdas.domain.catalogue.model_card import ModelCard, Sides, day

Link = tuple[str, int]  # a node and the number of its output


@dataclass(frozen=True, slots=True)
class Loader:
    """The nodes that load a model, and their outputs. The files must be in ComfyUI's model folders."""

    nodes: dict[str, dict[str, Any]]
    model: Link
    clip: Link
    vae: Link


_DEV = ModelCard(
    "flux1-dev",
    provider="comfyui",
    owned_by="black-forest-labs",
    price_usd=0.0,
    default_size=(1024, 1024),
    honours=frozenset({"steps", "cfg", "seed"}),  # a negative prompt has no effect at Flux's cfg of 1
    formats=("png",),
    created=day(2024, 8, 1),
    capabilities=frozenset({"text-to-image", "image-to-image"}),
    sides=Sides(min=256, max=2048, step=16, max_pixels=2_097_152),  # it is trained for up to two megapixels
    call="ticket",
    max_seconds=840.0,  # the queue of one GPU included
    references=1,
    quality=7,
    typical_seconds=25.0,
    licence="FLUX.1 [dev] non-commercial licence: running it for business needs a licence of Black Forest Labs",
)

# The first card is the default.
CARDS: Final = (_DEV, replace(_DEV, id="flux1-dev-fp8", quality=6, typical_seconds=20.0))

# The file names are those of ComfyUI's own examples: https://comfyanonymous.github.io/ComfyUI_examples/flux/
LOADERS: Final[dict[str, Loader]] = {
    "flux1-dev": Loader(
        nodes={
            "1": {
                "class_type": "UNETLoader",
                "inputs": {"unet_name": "flux1-dev.safetensors", "weight_dtype": "default"},
            },
            "2": {
                "class_type": "DualCLIPLoader",
                "inputs": {
                    "clip_name1": "clip_l.safetensors",
                    "clip_name2": "t5xxl_fp16.safetensors",
                    "type": "flux",
                },
            },
            "3": {"class_type": "VAELoader", "inputs": {"vae_name": "ae.safetensors"}},
        },
        model=("1", 0),
        clip=("2", 0),
        vae=("3", 0),
    ),
    "flux1-dev-fp8": Loader(
        nodes={
            "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "flux1-dev-fp8.safetensors"}},
        },
        model=("1", 0),
        clip=("1", 1),
        vae=("1", 2),
    ),
}
